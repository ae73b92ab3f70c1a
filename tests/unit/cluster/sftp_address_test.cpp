#include <gtest/gtest.h>

#include <ctlsign/cluster/ssh_session.hpp>

namespace ctlsign::cluster {
namespace {

TEST(SftpAddress, IsReadAsItIsWritten) {
    struct Row {
        const char *text, *user, *host, *port, *folder;
    };
    for (const Row& row : {Row{"sftp://ctl@cucm-pub/srv/tftp", "ctl", "cucm-pub", "22", "/srv/tftp"},
                           Row{"sftp://a@b@10.0.0.1:2222/", "a@b", "10.0.0.1", "2222", "/"},
                           Row{"sftp://ctl@[fd00::1]:22/x", "ctl", "fd00::1", "22", "/x"},
                           Row{"sftp://ctl@[fd00::1]/x", "ctl", "fd00::1", "22", "/x"}}) {
        const auto address = SftpAddress::parse(row.text);
        ASSERT_TRUE(address) << row.text;
        EXPECT_EQ(address->user, row.user);
        EXPECT_EQ(address->host, row.host);
        EXPECT_EQ(address->port, row.port);
        EXPECT_EQ(address->folder, row.folder);
    }
    for (const char* text :
         {"", "/srv/tftp", "sftp://", "sftp://host/x", "sftp://user@host", "sftp://@host/x", "sftp://user@/x",
          "sftp://user@host:/x", "sftp://user@host:ssh/x", "sftp://user:secret@host/x", "http://user@host/x",
          "sftp://user@[fd00::1/x"}) {
        EXPECT_FALSE(SftpAddress::parse(text)) << text;
    }
}

}  // namespace
}  // namespace ctlsign::cluster
