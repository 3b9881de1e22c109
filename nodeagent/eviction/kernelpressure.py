"""The kernel's word that memory is short: a trigger on /proc/pressure/memory, so that nobody has to look often.

Where the kernel has no pressure information, or does not let us ask, there is only the monitor's interval.
"""

from __future__ import annotations

import asyncio
import logging
import os
import select
from collections.abc import Callable
from pathlib import Path

from tiphys.logs import fields

_log = logging.getLogger(__name__)

PRESSURE_FILE = Path("/proc/pressure/memory")
TRIGGER = (
    b"some 200000 2000000\0"  # somebody waited for memory for 10 % of two seconds: what may be asked without privilege
)


class MemoryTrigger:
    """`notify` is called in the event loop, at most once in two seconds, while memory is short."""

    def __init__(self, notify: Callable[[], None], file: Path = PRESSURE_FILE) -> None:
        self._notify, self._path = notify, file
        self._file = self._poll = -1

    def open(self) -> bool:
        """False where the kernel offers nothing."""
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            os.write(self._file, TRIGGER)
        except OSError as error:
            _log.info("no memory pressure events", extra=fields(cause=error))
            self.close()
            return False
        # The file reports "priority" data, which event loops do not ask for; an epoll of its own does.
        self._epoll = select.epoll()
        self._epoll.register(self._file, select.EPOLLPRI | select.EPOLLERR)
        self._poll = self._epoll.fileno()
        asyncio.get_running_loop().add_reader(self._poll, self._ready)
        return True

    def _ready(self) -> None:
        for _, events in self._epoll.poll(0):
            if events & select.EPOLLERR:
                self.close()
                return
        self._notify()

    def close(self) -> None:
        if self._poll >= 0:
            asyncio.get_running_loop().remove_reader(self._poll)
            self._epoll.close()
            self._poll = -1
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
