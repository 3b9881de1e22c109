"""Reading a command line as kubectl does: flags anywhere, --flag=false, and an exit code of 1 for a wrong one."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from tiphys.cli.errors import CommandError

GLOBAL_FLAGS = ("-n", "--namespace", "--kubeconfig", "--context", "--as")  # may stand before the verb
BOOLEAN = ("true", "false")  # the choices of a flag that is on unless it is given as --flag=false
HELP_WIDTH = 110
_TRUTHS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}


class _Help(argparse.HelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=HELP_WIDTH)  # finding out the terminal's would cost an import of shutil


class CommandParser(argparse.ArgumentParser):
    """Raises CommandError instead of leaving the process; never guesses a flag from its beginning."""

    def __init__(self, prog: str, description: str) -> None:
        super().__init__(prog=prog, description=description, allow_abbrev=False, formatter_class=_Help)

    def error(self, message: str) -> NoReturn:
        unknown = message.partition("unrecognized arguments: ")[2]
        if unknown.startswith("-"):
            message = f"unknown flag: {unknown.split()[0]}"
        elif unknown:
            message = f"Unexpected args: [{unknown}]"
        raise CommandError(f"{message}\nSee '{self.prog} --help' for usage.")

    def read(self, words: Sequence[str]) -> argparse.Namespace:
        """Flags and names in any order; for a verb with `command_words`, these are what stands behind `--`."""
        command: list[str] = []
        if self.get_default("command_words") is not None and "--" in words:
            end = list(words).index("--")
            words, command = words[:end], list(words[end + 1 :])
        found = self.parse_intermixed_args([text for word in words for text in self._switch(word)])
        if command:
            found.command_words = command
        return found

    def _switch(self, word: str) -> list[str]:
        """--watch=true is --watch; --watch=false is nothing; --wait alone, of a flag that is on, is --wait=true."""
        name, separator, value = word.partition("=")
        action: Any = self._option_string_actions.get(name) if name.startswith("--") else None
        if not separator:
            return [f"{word}=true"] if action is not None and action.choices == BOOLEAN else [word]
        if action is None or action.nargs != 0:
            return [word]
        if value.lower() not in _TRUTHS:
            self.error(f'invalid argument "{value}" for "{name}" flag: must be true or false')
        return [name] if _TRUTHS[value.lower()] else []


def split_verb(words: Sequence[str]) -> tuple[str, list[str]]:
    """(verb, the words behind it); flags that stand before the verb are moved behind it."""
    moved: list[str] = []
    position = 0
    while position < len(words) and words[position].startswith("-"):
        takes_value = words[position] in GLOBAL_FLAGS
        moved += words[position : position + 1 + takes_value]
        position += 1 + takes_value
    rest = list(words[position:])
    return (rest[0], [*moved, *rest[1:]]) if rest else ("", moved)


def count(text: str) -> int:
    """A whole number, for `type=`."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f'"{text}" is not a whole number') from None
