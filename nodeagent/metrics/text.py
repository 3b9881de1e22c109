"""The Prometheus text format, written straight: for large families whose label sets do not change between scrapes."""

from __future__ import annotations

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def labels(**values: str) -> str:
    """ "{a=\\"1\\",b=\\"2\\"}", in the order given."""
    inside = ",".join(f'{name}="{escaped(value)}"' for name, value in values.items())
    return f"{{{inside}}}" if inside else ""


def escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


class Page:
    """Families one after the other; `body` is the whole."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._name = ""

    def family(self, name: str, kind: str, help: str) -> None:
        """What follows are samples of `name`; `kind` is counter, gauge or histogram."""
        self._name = name
        self._lines.append(f"# HELP {name} {help}\n# TYPE {name} {kind}")

    def sample(self, label_text: str, value: float, stamp: str = "") -> None:
        """`label_text` as of `labels`; `stamp` is "" or a blank and milliseconds since the epoch."""
        self._lines.append(f"{self._name}{label_text} {value!r}{stamp}")

    def body(self) -> bytes:
        return ("\n".join(self._lines) + "\n").encode() if self._lines else b""
