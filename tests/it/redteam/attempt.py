"""Makes attempts, each a few statements, and says what became of each: OPEN, an error's name, or why it is no test.

Reads {"attempts": [[name, code], …], "given": {…}} from attempts.json; the values of "given" are variables.
Every attempt is made in a process of its own, so that none disturbs the next.
"""

import ctypes
import errno
import json
import os
import socket
import struct
import sys

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def call(number, *arguments):
    """A raw system call; a failure raises OSError."""
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments))
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def read(path, flags=os.O_RDONLY):
    fd = os.open(path, flags | os.O_NONBLOCK)
    try:
        return os.read(fd, 4096)
    finally:
        os.close(fd)


def put(path, flags=os.O_WRONLY, data=b"x"):
    fd = os.open(path, flags)
    try:
        os.write(fd, data)
    finally:
        os.close(fd)


def machine_code(code):
    """Runs x86-64 machine code as a function that returns an integer."""
    import mmap

    memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(code)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    return ctypes.CFUNCTYPE(ctypes.c_long)(address)()


def attempt(code, given):
    scope = {**globals(), **given}
    try:
        exec(compile(code, "attempt", "exec"), scope)
    except OSError as error:
        return errno.errorcode.get(error.errno, f"BROKEN {error!r}")
    except BaseException as error:
        return f"BROKEN {error!r}"
    return "OPEN"


def main():
    with open("attempts.json", encoding="utf-8") as file:
        order = json.load(file)
    # Whoever started this process; behind walls that is the trial's keeper.
    order["given"]["KEEPER"] = os.getppid()
    for name, code in order["attempts"]:
        out, into = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(out)
            os.write(into, attempt(code, order["given"]).encode())
            os._exit(0)
        os.close(into)
        told = b""
        while piece := os.read(out, 4096):
            told += piece
        os.close(out)
        _, status = os.waitpid(pid, 0)
        end = f"SIGNAL {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else told.decode()
        print(json.dumps([name, end]), flush=True)


main()
