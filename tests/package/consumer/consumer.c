#include <ctlsign/ctlsign.h>
#include <stdio.h>

int main(int argc, char** argv) {
    ctlsign_file* file = NULL;
    ctlsign_verdict* verdict = NULL;
    ctlsign_verdict_info info = {.size = sizeof info};
    ctlsign_error error;
    if (argc != 2 || ctlsign_file_load(argv[1], &file, &error) ||
        ctlsign_file_verify(file, NULL, CTLSIGN_TIME_DEFAULT, &verdict, &error) ||
        ctlsign_verdict_get(verdict, &info, &error)) {
        return 1;
    }
    puts(info.rule);
    return ctlsign_close(verdict, NULL) || ctlsign_close(file, NULL);
}
