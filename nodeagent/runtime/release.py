"""Giving control to a created container without starting a program for it.

A container that crun has created waits for one byte in a fifo in crun's state directory; `crun start` unlinks the fifo
and writes that byte, and takes some milliseconds of a container's start for it.  Where anything is not as expected the
caller runs `start`, which also has the words for what is wrong.
"""

from __future__ import annotations

import os
from pathlib import Path

_FIFO = "exec.fifo"  # there until the container is started: crun's and runc's


def waits(state: Path) -> bool:
    """Whether the container of this state directory has been created and not been started."""
    return (state / _FIFO).exists()


def release(oci: str, state: Path) -> bool:
    """Start the container; False if it has to be done by the OCI runtime (runc waits at the other end of its fifo)."""
    if not os.path.basename(oci).startswith("crun"):  # noqa: PTH119 - a name only
        return False
    fifo = state / _FIFO
    try:
        fd = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)  # ENXIO: nobody waits
    except OSError:
        return False
    try:
        fifo.unlink()
        return os.write(fd, b"\0") == 1
    except OSError:
        return False
    finally:
        os.close(fd)
