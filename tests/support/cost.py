"""What a run of a program costs in memory."""

import os
import shutil
import subprocess


def uncached_copy(program, folder):
    """A copy that is not in memory yet: of one that is, the kernel maps what the program never asked for, too."""
    copy = shutil.copy(program, folder)
    descriptor = os.open(copy, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)
    return copy


def peak(*command):
    """The largest memory of a run, in KiB. A small process starts it: a child begins with what its parent had."""
    script = "import resource,subprocess,sys; subprocess.run(sys.argv[1:],check=True,stdout=subprocess.DEVNULL,stderr=subprocess.DEVNULL);" \
             "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    done = subprocess.run(["/usr/bin/python3", "-S", "-c", script, *command], capture_output=True, check=True)
    return int(done.stdout)
