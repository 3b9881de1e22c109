"""kubectl's ways into a pod on a whole cluster: run with a terminal, debug (in the pod and in a copy), logs of before.

`exec`, `attach`, `cp` and `port-forward` in all their details are in tests/nodeagent/server/test_kubectl.py.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.machine import KUBECTL, Machine, eventually, is_ready, is_running, terminated
from tests.nodeagent.registry import Registry
from tests.scenarios.pods import busybox_image, container, pod

pytestmark = pytest.mark.timeout(120)
_QUICK = "trap 'exit 0' TERM; echo up; while true; do sleep 0.05; done"


@pytest.fixture(scope="module")
def image(registry: Registry) -> str:
    return registry.push(busybox_image(version="one"), "tools", "v1")


class Terminal:
    """A person's side of a terminal in which kubectl runs."""

    def __init__(self, master: int, process: subprocess.Popen[bytes]) -> None:
        self.master, self.process, self.seen = master, process, b""

    def expect(self, text: bytes, seconds: float = 30) -> None:
        """Read until the text has come; what came up to it is forgotten."""
        end = time.monotonic() + seconds
        while text not in self.seen:
            left = end - time.monotonic()
            assert left > 0 and self._read(left), f"{text!r} is not in {self.seen!r}"
        self.seen = self.seen.partition(text)[2]

    def _read(self, seconds: float) -> bool:
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:  # the other side has closed it
            return False
        self.seen += data
        return bool(data)

    def type(self, data: bytes) -> None:
        os.write(self.master, data)

    def code(self, seconds: float = 30) -> int:
        """kubectl's exit code, reading what it still writes."""
        while self._read(seconds):
            pass
        return self.process.wait(seconds)


@contextmanager
def terminal(machine: Machine, *words: str) -> Iterator[Terminal]:
    """kubectl with a terminal of 33 rows and 101 columns as its controlling one."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 101, 0, 0))
    process = subprocess.Popen(
        [str(KUBECTL), *words],
        env=machine._environment({"TERM": "xterm"}),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(slave)
    try:
        yield Terminal(master, process)
    finally:
        process.kill()
        process.wait()
        os.close(master)


def test_run_with_a_terminal_is_a_shell_and_its_code_is_kubectls(machine: Machine, image: str) -> None:
    with terminal(machine, "run", "shell", "--rm", "-it", f"--image={image}", "--restart=Never", "--", "sh") as shell:
        shell.type(b"\n")
        shell.expect(b"# ")
        shell.type(b"tty && echo sum $((40 + 2))\n")
        shell.expect(b"/dev/")
        shell.expect(b"sum 42\r\n")
        shell.type(b"exit 3\n")
        shell.expect(b"pod default/shell terminated (Error)")
        assert shell.code() != 0
    machine.gone("shell")


def test_run_exposes_a_pod_that_port_forward_to_its_service_reaches(machine: Machine, image: str) -> None:
    web = "mkdir /www; echo page > /www/page; exec httpd -f -p 8080 -h /www"
    words = ("run", "web", f"--image={image}", "--port=8080", "--expose", "--labels=app=web", "--env=COLOUR=blue")
    machine.kubectl(*words, "--", "sh", "-c", web)
    machine.wait_pod("web", is_running)
    assert machine.kubectl("exec", "web", "--", "sh", "-c", "echo $COLOUR").out == "blue\n"
    forward = machine.start(KUBECTL, "port-forward", "service/web", "18080:8080")
    assert forward.stdout is not None
    assert forward.stdout.readline() == "Forwarding from 127.0.0.1:18080 -> 8080\n"
    assert machine.run("busybox", "wget", "-qO-", "http://127.0.0.1:18080/page").out == "page\n"
    forward.terminate()
    machine.kubectl("delete", "pod/web", "service/web", "--now")


def test_debug_brings_a_container_into_a_running_pod(machine: Machine, image: str) -> None:
    machine.apply(pod("patient", container(image, _QUICK)))
    machine.wait_pod("patient", is_running)
    words = ("debug", "-it", "patient", f"--image={image}", "--target=main", "--container=doctor", "--profile=general")
    with terminal(machine, *words, "--", "sh") as shell:
        shell.type(b"\n")
        shell.expect(b"# ")
        shell.type(b"stat -c 'size %s' /proc/1/root/data/version; hostname; ps | grep -c '[s]leep 0.05'\n")
        shell.expect(b"size 3\r\n")  # the target's processes and, through them, its files
        shell.expect(b"patient\r\n")
        shell.type(b"exit 5\n")
        shell.code()
    found = machine.wait_pod("patient", lambda p: "terminated" in _ephemeral(p)["state"])
    assert _ephemeral(found)["state"]["terminated"]["exitCode"] == 5
    assert is_ready(found) and found["status"]["containerStatuses"][0]["restartCount"] == 0
    machine.kubectl("delete", "pod", "patient", "--now")


def _ephemeral(found: dict[str, object]) -> dict[str, dict[str, dict[str, object]]]:
    statuses = found["status"].get("ephemeralContainerStatuses", [])  # type: ignore[attr-defined]
    return statuses[0] if statuses else {"state": {}}


def test_debug_makes_a_copy_with_another_command(machine: Machine, image: str) -> None:
    machine.apply(pod("broken", container(image, "exit 1"), restartPolicy="Never"))
    machine.wait_pod("broken", lambda p: terminated(p) is not None)
    words = ("debug", "-it", "broken", "--copy-to=copy", "--container=main", "--same-node", "--", "sh")
    with terminal(machine, *words) as shell:
        shell.type(b"\n")
        shell.expect(b"# ")
        shell.type(b"cat /data/version; hostname\n")
        shell.expect(b"onecopy\r\n")
        shell.type(b"exit\n")
        shell.code()
    machine.wait_pod("copy", lambda p: terminated(p) is not None)
    assert machine.pods("run=broken")[0]["metadata"]["name"] == "broken"  # the copy has no labels
    machine.kubectl("delete", "pod", "broken", "copy", "--now")


def test_debug_makes_a_copy_with_a_container_beside(machine: Machine, image: str) -> None:
    machine.apply(pod("silent", container(image, _QUICK)))
    words = ("--copy-to=loud", f"--image={image}", "--container=tool", "--share-processes", "--", "sh", "-c", _QUICK)
    machine.kubectl("debug", "silent", *words)
    found = machine.wait_pod("loud", is_running)
    assert found["spec"]["shareProcessNamespace"] is True
    seen = machine.kubectl("exec", "loud", "-c", "tool", "--", "ps").out
    assert seen.count("trap 'exit 0' TERM") >= 2
    machine.kubectl("delete", "pod", "silent", "loud", "--now")


def test_debug_of_the_node_sees_its_files_and_processes(machine: Machine, image: str) -> None:
    mark = machine.directory / "node-file"
    mark.write_text("of the node")
    words = ("debug", "node/machine", f"--image={image}", "--quiet", "--", "cat", f"/host{mark}")
    machine.kubectl(*words)

    def debugger() -> str | None:
        names = [p["metadata"]["name"] for p in machine.pods() if p["metadata"]["name"].startswith("node-debugger-")]
        return names[0] if names else None

    name = eventually(debugger, "the debugging pod")
    machine.wait_pod(name, lambda p: terminated(p) is not None)
    assert machine.log(name) == "of the node"
    machine.kubectl("delete", "pod", name, "--now")


def test_logs_follow_the_instance_before(machine: Machine, image: str) -> None:
    script = "if test -e /state/second; then echo second; exec sleep 1000; fi; touch /state/second; echo first; exit 1"
    mounts = [{"name": "state", "mountPath": "/state"}]
    twice = container(image, script, volumeMounts=mounts)
    machine.apply(pod("twice", twice, volumes=[{"name": "state", "emptyDir": {}}]))
    machine.wait_pod("twice", lambda p: is_running(p) and p["status"]["containerStatuses"][0]["restartCount"] == 1)
    assert machine.kubectl("logs", "-f", "--previous", "twice").out == "first\n"  # it ends: nothing more can come
    eventually(lambda: machine.log("twice") == "second\n", "the new instance's log")
    never = machine.kubectl("logs", "--previous", "twice", "-c", "absent", check=False)
    assert never.code == 1 and "container absent is not valid for pod twice" in never.err
    machine.kubectl("delete", "pod", "twice", "--now")


def test_attach_without_a_terminal_sees_what_comes_from_now_on(machine: Machine, image: str) -> None:
    script = "echo before; read x; echo got $x; sleep 1000"
    machine.apply(pod("talk", container(image, script, stdin=True, stdinOnce=True)))
    machine.wait_pod("talk", is_running)
    follower = machine.start(KUBECTL, "logs", "-f", "talk")
    machine.run("sh", "-c", f"echo words | timeout 2 {KUBECTL} attach -i talk", check=False)
    assert follower.stdout is not None
    assert [follower.stdout.readline() for _ in range(2)] == ["before\n", "got words\n"]
    follower.terminate()
    machine.kubectl("delete", "pod", "talk", "--now")


def test_cp_into_a_pod_keeps_modes_and_the_way_back_keeps_contents(machine: Machine, image: str) -> None:
    machine.apply(pod("store", container(image, _QUICK)))
    machine.wait_pod("store", is_running)
    source = machine.directory / "source"
    source.mkdir()
    (source / "run.sh").write_text("#!/bin/sh\necho ran\n")
    (source / "run.sh").chmod(0o750)
    machine.kubectl("cp", str(source), "default/store:/copied", "-c", "main")
    assert machine.kubectl("exec", "store", "--", "sh", "-c", "/copied/run.sh; stat -c %a /copied/run.sh").out == (
        "ran\n750\n"
    )
    back = machine.directory / "back"
    machine.kubectl("cp", "store:/copied", str(back))
    assert (back / "run.sh").read_text() == (source / "run.sh").read_text()
    machine.kubectl("delete", "pod", "store", "--now")
