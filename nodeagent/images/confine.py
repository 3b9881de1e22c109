"""What the unpacking child may do: little memory, one directory as its root, no network, no new programs.

What must stay true: after `confine` the process can neither name a file outside the directory nor open a socket, also
if its decompressor or parser were taken over."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 1, 38, 22, 2
_X32 = 0x40000000
_ALLOW, _DENY = 0x7FFF0000, 0x00050000 | 1  # answer EPERM

# audit architecture and the calls an unpacker has no use for, by machine
_DENIED = {
    "x86_64": (
        0xC000003E,
        {
            "socket": 41, "socketpair": 53, "connect": 42, "bind": 49, "ptrace": 101, "execve": 59, "execveat": 322,
            "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "unshare": 272, "setns": 308, "bpf": 321,
            "open_by_handle_at": 304, "init_module": 175, "finit_module": 313, "delete_module": 176, "reboot": 169,
            "kexec_load": 246, "kexec_file_load": 320, "process_vm_readv": 310, "process_vm_writev": 311,
            "io_uring_setup": 425, "pidfd_getfd": 438, "kill": 62, "tkill": 200, "fork": 57, "vfork": 58,
            "perf_event_open": 298, "userfaultfd": 323, "keyctl": 250, "add_key": 248, "swapon": 167, "move_mount": 429,
            "open_tree": 428, "fsopen": 430,
        },
    ),
    "aarch64": (
        0xC00000B7,
        {
            "socket": 198, "socketpair": 199, "connect": 203, "bind": 200, "ptrace": 117, "execve": 221,
            "execveat": 281, "mount": 40, "umount2": 39, "pivot_root": 41, "chroot": 51, "unshare": 97, "setns": 268,
            "bpf": 280, "open_by_handle_at": 265, "init_module": 105, "finit_module": 273, "delete_module": 106,
            "reboot": 142, "kexec_load": 104, "kexec_file_load": 294, "process_vm_readv": 270,
            "process_vm_writev": 271, "io_uring_setup": 425, "pidfd_getfd": 438, "kill": 129, "tkill": 130,
            "perf_event_open": 241, "userfaultfd": 282, "keyctl": 219, "add_key": 217, "swapon": 224,
            "move_mount": 429, "open_tree": 428, "fsopen": 430,
        },
    ),
}  # fmt: skip

_libc = ctypes.CDLL(None, use_errno=True)


def confine(root_fd: int, *, memory_bytes: int, file_bytes: int, cpu_seconds: int) -> None:
    """Call once, with every module imported.  Raises OSError."""
    _lower(resource.RLIMIT_AS, memory_bytes)
    _lower(resource.RLIMIT_FSIZE, file_bytes)
    _lower(resource.RLIMIT_CPU, cpu_seconds)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_NOFILE, 512)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write fails with EFBIG instead
    os.fchdir(root_fd)
    os.chroot(".")
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _deny_calls()


def die_with_parent(parent_pid: int) -> None:
    """An unpacker whose agent was killed has nobody to report to."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        os._exit(1)


def _lower(what: int, value: int) -> None:
    hard = resource.getrlimit(what)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(what, (value, value))


def _prctl(option: int, value: int, argument: object = 0) -> None:
    if _libc.prctl(option, ctypes.c_ulong(value), argument, ctypes.c_ulong(0), ctypes.c_ulong(0)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def _deny_calls() -> None:
    known = _DENIED.get(os.uname().machine)
    if known is None:
        return  # another processor: the chroot and the limits remain
    architecture, calls = known
    numbers = sorted(calls.values())
    load, equal, at_least, ret = 0x20, 0x15, 0x35, 0x06
    lines = [(load, 0, 0, 4), (equal, 1, 0, architecture), (ret, 0, 0, _DENY), (load, 0, 0, 0)]
    lines += [(at_least, 0, 1, _X32), (ret, 0, 0, _DENY)]  # the second set of numbers of x86_64
    for index, number in enumerate(numbers):
        lines.append((equal, len(numbers) - index, 0, number))
    lines += [(ret, 0, 0, _ALLOW), (ret, 0, 0, _DENY)]
    code = b"".join(struct.pack("=HBBI", *line) for line in lines)
    program = _Program(len(lines), code)
    _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program))
