"""How a command fails: a message with cause, object, field and advice, and an exit code."""

from __future__ import annotations

from typing import Any

from tiphys.cli.terminal import neutral


class CommandError(Exception):
    """Printed as `error: <message>` on standard error."""

    prefix = "error: "

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(neutral(message))
        self.exit_code = exit_code


class ConnectionFailed(CommandError):
    """The server could not be reached; the message is a sentence of its own."""

    prefix = ""


class ServerError(CommandError):
    """The API server's refusal, printed as kubectl prints it.  `status` is the v1 Status object."""

    prefix = ""

    def __init__(self, status: dict[str, Any], code: int) -> None:
        self.status = status
        self.code = code
        self.reason: str = status.get("reason", "")
        super().__init__(self._text())

    def _text(self) -> str:
        message = self.status.get("message") or f"HTTP {self.code}"
        details = self.status.get("details") or {}
        if self.reason == "Invalid" and details.get("causes"):
            name = f'"{details.get("name", "")}"'
            causes = [f"{c.get('field', '')}: {c.get('message', '')}" for c in details["causes"]]
            causes = list(dict.fromkeys(causes))
            head = f"The {details.get('kind', 'object')} {name} is invalid: "
            return head + (causes[0] if len(causes) == 1 else "\n* " + "\n* ".join(causes))
        if self.code == 401:
            return f"error: You must be logged in to the server ({message})"
        return f"Error from server ({self.reason}): {message}" if self.reason else f"Error from server: {message}"

    def reworded(self, message: str) -> ServerError:
        """The same refusal with another message."""
        return ServerError({**self.status, "message": message}, self.code)
