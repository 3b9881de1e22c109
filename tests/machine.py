"""A machine of its own for end-to-end tests: a network namespace, a directory, a cluster, registries, kubectl.

While a Machine is entered the calling thread lives in its network namespace, so every process and every connection that
the test makes is inside; the mounts of cgroups stay visible.  Nothing outside of the namespace and the directory is
touched, and `leftovers` says what a cluster that was taken down has left behind.
"""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

from nodeagent.runtime import syscalls
from nodeagent.volumes.teardown import mounts_below
from tests.nodeagent.registry import Registry, require
from tiphys.cli.cluster import Layout

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[1]
KUBECTL = Path(sys.executable).with_name("kubectl")
NODE = "machine"
ADDRESS = "192.168.77.2"  # of the machine, on a link with a default route, as an ordinary machine has
DEADLINE_SECONDS = 40.0
PAUSE_SECONDS = 0.03
_CGROUPS = Path("/sys/fs/cgroup")
Object = dict[str, Any]


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


def eventually(probe: Callable[[], T | None], what: str, seconds: float = DEADLINE_SECONDS) -> T:
    """The first answer of `probe` that is not None or False; AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        answer = probe()
        if answer is not None and answer is not False:
            return answer
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(PAUSE_SECONDS)


class Machine:
    """Enter it, `up`, play, leave it: the cluster is taken down, and what is left of it is an AssertionError."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.name = f"tiphys-test-{os.getpid()}-{id(self) & 0xFFFF:x}"
        self.layout = Layout(directory / "data")
        self._home = -1
        self._stops: list[Callable[[], Any]] = []
        self._context: ssl.SSLContext | None = None

    # -- the machine -----------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        assert os.geteuid() == 0, "end-to-end tests need root"
        for program, package in (("ip", "iproute2"), ("crun", "crun"), ("conmon", "conmon"), ("nft", "nftables")):
            require(program, package)
        assert KUBECTL.exists(), "kubectl is missing: make setup-test"
        self.directory.mkdir(parents=True, exist_ok=True)
        self._home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        _ip("netns", "add", self.name)
        inside = os.open(f"/run/netns/{self.name}", os.O_RDONLY | os.O_CLOEXEC)
        self._identity = os.fstat(inside).st_ino
        syscalls.setns(inside, syscalls.CLONE_NEWNET)
        os.close(inside)
        try:
            _ip("link", "set", "lo", "up")
            _ip("link", "add", "eth0", "type", "veth", "peer", "name", "uplink")
            _ip("link", "set", "uplink", "up")
            _ip("address", "add", f"{ADDRESS}/24", "dev", "eth0")
            _ip("link", "set", "eth0", "up")
            _ip("route", "add", "default", "via", "192.168.77.1")
        except BaseException:
            self._leave()
            raise
        return self

    def _leave(self) -> None:
        syscalls.setns(self._home, syscalls.CLONE_NEWNET)
        os.close(self._home)
        _ip("netns", "delete", self.name)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            for stop in reversed(self._stops):
                stop()
            taken_down = self.down(check=False)
            left = self.leftovers()
        finally:
            self._leave()
        if kind is None:
            assert taken_down.code == 0, taken_down
            assert left == []

    def leftovers(self) -> list[str]:
        """What is left on this machine after `down`, as text: processes, mounts, cgroups, links, nftables tables."""
        return [
            *(f"process {pid}: {words}" for pid, words in self._own_processes()),
            *(f"mount {point}" for point in mounts_below(self.directory)),
            *(f"cgroup {path}" for path in _CGROUPS.glob(f"*/{self.layout.cgroup_root}*")),
            *(f"link {name}" for name in self._links() - {"lo", "eth0", "uplink"}),
            *(f"nftables {line}" for line in self.run("nft", "list", "tables").out.splitlines()),
        ]

    def _own_processes(self) -> Iterable[tuple[int, str]]:
        """Processes of this machine: in its network namespace, in its cgroups, or with its directory as a word."""
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                cgroup = (entry / "cgroup").read_text()
                inside = (entry / "ns/net").stat().st_ino == self._identity
            except OSError:
                continue  # it has ended meanwhile
            if inside or str(self.directory) in words or f"/{self.layout.cgroup_root}/" in cgroup:
                yield int(entry.name), words.strip()

    def _links(self) -> set[str]:
        return {link["ifname"] for link in json.loads(self.run("ip", "-json", "link").out)}

    def run(
        self, *words: str | Path, stdin: str = "", check: bool = True, seconds: float = 60, **environment: str
    ) -> Done:
        """Run a program on this machine; with `check` its failure is an AssertionError with its output."""
        done = subprocess.run(
            [str(word) for word in words],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=seconds,
            cwd=ROOT,
            env=self._environment(environment),
        )
        result = Done(done.returncode, done.stdout, done.stderr)
        assert not check or result.code == 0, f"{words}: {result.code}\n{result.out}\n{result.err}"
        return result

    def start(self, *words: str | Path, output: Path | None = None) -> subprocess.Popen[str]:
        """Start a program on this machine; it is ended with the machine if it still runs.  Output is a pipe or file."""
        with (output or Path(os.devnull)).open("ab") as file:
            process = subprocess.Popen(
                [str(word) for word in words],
                stdin=subprocess.DEVNULL,
                stdout=file if output else subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                cwd=ROOT,
                env=self._environment({}),
            )

        def stop() -> None:
            if process.poll() is None:
                process.kill()
            process.communicate()

        self._stops.append(stop)
        return process

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        own = {"KUBECONFIG": str(self.layout.kubeconfig("admin")), "HOME": str(self.directory)}
        return {**os.environ, **own, **more}

    def registry(self, name: str = "registry", *, port: int = 0, auth: str = "") -> Registry:
        """A running registry of this machine, stopped with it."""
        registry = Registry(self.directory / name, port=port, auth=auth)
        registry.start()
        self._stops.append(registry.stop)
        return registry

    # -- the cluster -----------------------------------------------------------------------------------------------

    def up(self, *flags: str) -> Done:
        words = ("up", "--data-dir", str(self.layout.root), "--node-name", NODE, *flags)
        try:
            return self.tiphys(*words)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log_tails()}") from None

    def down(self, *flags: str, check: bool = True) -> Done:
        return self.tiphys("down", "--data-dir", str(self.layout.root), *flags, check=check)

    def tiphys(self, *words: str, stdin: str = "", check: bool = True) -> Done:
        return self.run(sys.executable, "-m", "tiphys.cli.main", *words, stdin=stdin, check=check)

    def kubectl(self, *words: str, stdin: str = "", check: bool = True, seconds: float = 60) -> Done:
        return self.run(KUBECTL, *words, stdin=stdin, check=check, seconds=seconds)

    def apply(self, *objects: Object) -> None:
        """kubectl apply of all of them."""
        self.kubectl("apply", "-f", "-", stdin="\n---\n".join(map(json.dumps, objects)))

    def pids(self) -> dict[str, int]:
        """Component -> process id, as the supervisor last wrote it; 0 while it is down."""
        return {name: int(str(state["pid"])) for name, state in self.layout.component_states().items()}

    def kill(self, component: str) -> int:
        """kill -9 of one component; returns the process id it had."""
        pid = eventually(lambda: self.pids().get(component), f"{component} runs")
        os.kill(pid, signal.SIGKILL)
        return pid

    def restarted(self, component: str, old_pid: int) -> int:
        """Wait until the supervisor has started the component again; its new process id."""
        return eventually(
            lambda: pid if (pid := self.pids().get(component, 0)) not in (0, old_pid) else None,
            f"{component} is started again",
        )

    def containers(self) -> dict[int, str]:
        """Processes in this cluster's cgroups: process id -> command line."""
        found = {}
        for pid, words in self._own_processes():
            try:
                if f"/{self.layout.cgroup_root}/" in Path(f"/proc/{pid}/cgroup").read_text():
                    found[pid] = words
            except OSError:
                continue
        return {pid: words for pid, words in found.items() if "conmon" not in words.split(" ")[0]}

    # -- its objects -----------------------------------------------------------------------------------------------

    def get(self, path: str) -> Object | None:
        """An object or list by its API path; None for 404.  Raises OSError when nobody answers."""
        if self._context is None:
            self._context = ssl.create_default_context(cafile=str(self.layout.pki / "ca.crt"))
            self._context.load_cert_chain(self.layout.pki / "admin.crt", self.layout.pki / "admin.key")
        try:
            with urllib.request.urlopen(f"https://127.0.0.1:6443{path}", context=self._context, timeout=10) as answer:
                found: Object = json.load(answer)
                return found
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise

    def pods(self, selector: str = "", namespace: str = "default") -> list[Object]:
        found = self.get(f"/api/v1/namespaces/{namespace}/pods?labelSelector={selector.replace('=', '%3D')}")
        assert found is not None
        items: list[Object] = found["items"]
        return items

    def wait_pod(self, name: str, holds: Callable[[Object], Any], seconds: float = DEADLINE_SECONDS) -> Object:
        """The pod once `holds(pod)` is true; otherwise an AssertionError with its status and events."""
        last: Object = {}

        def probe() -> Object | None:
            pod = self.get(f"/api/v1/namespaces/default/pods/{name}")
            if pod is not None:
                last.update(pod)
            return pod if pod is not None and holds(pod) else None

        try:
            return eventually(probe, f"pod {name}", seconds)
        except AssertionError as error:
            status = json.dumps(last.get("status"), indent=1)
            raise AssertionError(f"{error}\n{status}\n{self.events(name)}\n{self.log_tails()}") from None

    def gone(self, name: str, seconds: float = DEADLINE_SECONDS) -> None:
        """Wait until the pod is gone from the API."""
        eventually(lambda: self.get(f"/api/v1/namespaces/default/pods/{name}") is None, f"pod {name} is gone", seconds)

    def events(self, name: str) -> list[tuple[str, str]]:
        """(reason, message) of an object's events, oldest first."""
        found = self.get("/api/v1/namespaces/default/events")
        assert found is not None
        return [(e["reason"], e.get("message", "")) for e in found["items"] if e["involvedObject"]["name"] == name]

    def log(self, name: str, *flags: str) -> str:
        return self.kubectl("logs", name, *flags).out

    def log_tails(self) -> str:
        """The ends of the components' logs, for the message of a failure."""
        names = sorted(path.stem for path in self.layout.logs.glob("*.log")) if self.layout.logs.exists() else []
        return "\n".join(f"-- {name}\n" + "\n".join(self.layout.log_tail(name, 12)) for name in names)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def is_running(pod: Object) -> bool:
    """Every container of the pod runs."""
    statuses = pod["status"].get("containerStatuses", [])
    return bool(statuses) and all("running" in status["state"] for status in statuses)


def is_ready(pod: Object) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))


def waiting_reason(pod: Object, index: int = 0) -> str:
    """Why the container waits, or ""."""
    statuses = pod["status"].get("containerStatuses", [])
    reason: str = statuses[index]["state"].get("waiting", {}).get("reason", "") if len(statuses) > index else ""
    return reason


def terminated(pod: Object, index: int = 0, *, state: str = "state") -> Object | None:
    """The container's `state.terminated` (or `lastState.terminated`), or None."""
    statuses = pod["status"].get("containerStatuses", [])
    found: Object | None = statuses[index][state].get("terminated") if len(statuses) > index else None
    return found
