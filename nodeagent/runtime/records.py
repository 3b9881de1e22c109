"""What the runtime keeps on disk about a container: enough to know everything again after a kill -9.

    ROOT/containers/ID/spec.json     the ContainerSpec: the intent, written first
    ROOT/containers/ID/config.json   the OCI bundle, with rootfs/ upper/ work/
    ROOT/containers/ID/pid           first process, written by the OCI runtime
    ROOT/containers/ID/conmon.pid    its monitor
    ROOT/containers/ID/times.json    created_at, started_at
    ROOT/containers/ID/exit.json     how it ended: the last word, written once
    ROOT/exits/ID                    exit code, written by conmon; folded into exit.json
    ROOT/oci/ID                      state of the OCI runtime
    ROOT/trash/                      being deleted

What must stay true: files appear whole (rename), and no file is trusted to say that a process lives: the process is
asked for its cgroup.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from pydantic import TypeAdapter

from nodeagent.runtime.interface import ContainerSpec, RuntimeFailure

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


@dataclass(frozen=True, slots=True)
class Exit:
    """How a container ended."""

    exit_code: int
    finished_at: datetime
    oom_killed: bool
    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Times:
    created_at: datetime | None = None
    started_at: datetime | None = None


@cache
def spec_adapter() -> TypeAdapter[ContainerSpec]:
    return TypeAdapter(ContainerSpec)


@cache
def _exits() -> TypeAdapter[Exit]:
    return TypeAdapter(Exit)


@cache
def _times() -> TypeAdapter[Times]:
    return TypeAdapter(Times)


class Layout:
    """The directories of one runtime."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.containers = root / "containers"
        self.exits = root / "exits"
        self.oci = root / "oci"
        self.trash = root / "trash"

    def make(self) -> None:
        for directory in (self.root, self.containers, self.exits, self.oci, self.trash):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            directory.chmod(0o700)

    def record(self, container_id: str) -> Record:
        if not _ID.fullmatch(container_id):
            raise RuntimeFailure(f"invalid container id {container_id!r}")
        return Record(self.containers / container_id, self.exits / container_id)


class Record:
    """One container's files.  Readers answer None for what is absent or broken."""

    def __init__(self, directory: Path, exit_file: Path) -> None:
        self.directory = directory
        self.exit_file = exit_file
        self.rootfs = directory / "rootfs"

    def write_spec(self, spec: ContainerSpec) -> None:
        self._write("spec.json", spec_adapter().dump_json(spec))

    def spec(self) -> ContainerSpec | None:
        try:
            return spec_adapter().validate_json((self.directory / "spec.json").read_bytes())
        except (OSError, ValueError):
            return None

    def write_config(self, config: dict[str, Any]) -> None:
        (self.directory / "config.json").write_bytes(orjson.dumps(config))

    def write_times(self, times: Times) -> None:
        self._write("times.json", _times().dump_json(times))

    def times(self) -> Times:
        try:
            return _times().validate_json((self.directory / "times.json").read_bytes())
        except (OSError, ValueError):
            return Times()

    def write_exit(self, end: Exit) -> None:
        self._write("exit.json", orjson.dumps(asdict(end)))

    def exit(self) -> Exit | None:
        try:
            return _exits().validate_json((self.directory / "exit.json").read_bytes())
        except (OSError, ValueError):
            return None

    def conmon_exit(self) -> tuple[int, datetime] | None:
        """(exit code, time) as conmon wrote it."""
        try:
            code = int(self.exit_file.read_text())
            return code, datetime.fromtimestamp(self.exit_file.stat().st_mtime, UTC)
        except (OSError, ValueError):
            return None

    def pid(self) -> int:
        return self._number("pid")

    def conmon_pid(self) -> int:
        return self._number("conmon.pid")

    def _number(self, name: str) -> int:
        try:
            return int((self.directory / name).read_text())
        except (OSError, ValueError):
            return 0

    def _write(self, name: str, data: bytes) -> None:
        temporary = self.directory / f".{name}"
        temporary.write_bytes(data)
        temporary.replace(self.directory / name)
