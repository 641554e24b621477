"""What a command costs; used by the benches beside it. `cost.py COMMAND…` prints wall seconds, CPU seconds, peak MiB."""

import os
import sys
import time


def cost(command, env):
    """Wall seconds, CPU seconds, peak MiB."""
    os.sync()
    began, child = time.time(), os.fork()
    if child == 0:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        os.execvpe(command[0], [str(word) for word in command], env)
    _, status, usage = os.wait4(child, 0)
    if status:
        sys.exit(f"failed: {command}")
    return time.time() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


if __name__ == "__main__":
    print(*(f"{number:.3f}" for number in cost(sys.argv[1:], os.environ)))
