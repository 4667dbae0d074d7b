"""Becomes the program that follows, which may open no netlink socket, as under systemd's RestrictAddressFamilies. Linux."""

import ctypes
import os
import platform
import struct
import sys

SOCKET = {"x86_64": 41, "aarch64": 198}[platform.machine()]
AF_NETLINK = 16
EAFNOSUPPORT = 97

PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38
SECCOMP_MODE_FILTER = 2
ALLOW = 0x7FFF0000
ERRNO = 0x00050000

LOAD_WORD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06


def instruction(code, value, if_true=0, if_false=0):
    return struct.pack("HBBI", code, if_true, if_false, value)


# The number of the system call is at 0 of what a filter is given, its first argument at 16.
FILTER = b"".join(
    [
        instruction(LOAD_WORD, 0),
        instruction(JUMP_IF_EQUAL, SOCKET, 0, 3),
        instruction(LOAD_WORD, 16),
        instruction(JUMP_IF_EQUAL, AF_NETLINK, 0, 1),
        instruction(RETURN, ERRNO | EAFNOSUPPORT),
        instruction(RETURN, ALLOW),
    ]
)


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


libc = ctypes.CDLL(None, use_errno=True)
program = Program(len(FILTER) // 8, FILTER)
if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
    sys.exit("no_new_privs: " + os.strerror(ctypes.get_errno()))
if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) != 0:
    sys.exit("seccomp: " + os.strerror(ctypes.get_errno()))
os.execvp(sys.argv[1], sys.argv[1:])
