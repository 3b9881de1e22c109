"""What the node says when the programs it needs are missing or broken."""

from pathlib import Path

import pytest

from nodeagent.agent import Agent
from nodeagent.program import _arguments, settings_of
from tiphys.clock import SystemClock


def program(directory: Path, name: str, text: str) -> None:
    path = directory / name
    path.write_text(text)
    path.chmod(0o755)


async def test_a_missing_or_broken_program_is_the_cause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    flags = ["--kubeconfig", "none", "--data-dir", str(tmp_path), "--node-name", "n1", "--node-ip", "192.0.2.7"]
    agent = Agent(settings_of(_arguments(flags)), SystemClock())
    assert agent.program_fault() == ("container runtime is down: conmon is not installed: apt-get install conmon")
    program(tmp_path, "conmon", "#!/bin/sh\nexit 0\n")
    program(tmp_path, "crun", "#!/bin/sh\nexit 3\n")
    assert agent.program_fault() == f"container runtime is down: {tmp_path}/crun --version ends with code 3"
    (tmp_path / "crun").unlink()
    program(tmp_path, "runc", "#!/bin/sh\nexit 0\n")
    assert agent.program_fault() == ""
    assert agent.health().not_ready == "container runtime is starting"
