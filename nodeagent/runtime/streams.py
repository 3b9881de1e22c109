"""What a client's terminal is connected to: a program started in a container, or the container itself.

`Streams` is what both have in common and what the streaming server speaks to.  What must stay true: nothing is buffered
here; `close` may come at any moment, more than once, and leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, Protocol

Output = Literal["stdout", "stderr"]
Send = Callable[[Output, bytes], Awaitable[None]]
LARGEST_TERMINAL = 0xFFFF  # columns and rows are 16 bits in the kernel


@dataclass(frozen=True, slots=True)
class ExecRequest:
    """What a client asks for.  With `terminal` there is no separate standard error."""

    argv: tuple[str, ...]
    stdin: bool = False
    stdout: bool = True
    stderr: bool = True
    terminal: bool = False


class Streams(Protocol):
    """One session."""

    async def copy_output(self, send: Send) -> None:
        """Pass on all output; returns at its end.  What was written before the program's end is delivered whole.

        A `send` that takes its time makes the program wait."""

    async def write(self, data: bytes) -> None:
        """To standard input; dropped when nobody reads it any more."""

    def end_input(self) -> None:
        """End of standard input."""

    def resize(self, columns: int, rows: int) -> None:
        """Tell the terminal; nothing without one."""

    async def wait(self) -> int:
        """The exit code (0 for a container that was attached to).  Raises RuntimeFailure if it never ran."""

    async def close(self) -> None:
        """Kill the started program if it still runs, and give everything back."""


def terminal_size(columns: int, rows: int) -> tuple[int, int] | None:
    """What the kernel takes, or None for a size that means nothing."""
    if not (0 < columns <= LARGEST_TERMINAL and 0 < rows <= LARGEST_TERMINAL):
        return None
    return columns, rows
