"""What Debian's own checker says of the packages: nothing."""

import os

from installed import make_packages, run

# Nobody uploads them to Debian, and CPack calls ldconfig where the trigger, which is there too, would be enough.
NOT_MEANT = ("initial-upload-closes-no-bugs", "maintscript-calls-ldconfig")


def test_lintian_has_nothing_to_say(tmp_path):
    packages = make_packages(tmp_path)
    elsewhere = {**os.environ, "TMPDIR": str(tmp_path)}  # it leaves files there
    command = ("lintian", "--allow-root", "--fail-on", "error,warning", "--suppress-tags", ",".join(NOT_MEANT))
    assert run(*command, *packages.values(), env=elsewhere) == ""
