"""One worker per pod: looks at the pod and its containers, plans, acts, says what became of it; then sleeps until
woken.

What must stay true: `turn` is told nothing about why it runs; whatever takes long (pulls, stops, hooks, probes) is a
task whose end wakes the worker, so a deletion is never waited for behind them; everything in memory here may be lost
at any moment.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from nodeagent.pods import backoff
from nodeagent.pods.admission import is_static
from nodeagent.pods.admissions import OVER
from nodeagent.pods.ending import ContainerStops, clean_up, finish_deletion
from nodeagent.pods.hooks import run_hook
from nodeagent.pods.node import Node, find_container
from nodeagent.pods.observed import BackoffEntry, Ending, Memory, Observed, ObservedContainer, Waiting
from nodeagent.pods.observing import observe
from nodeagent.pods.plan import Actions, Start, age_seconds, plan
from nodeagent.pods.preparing import PodGround
from nodeagent.pods.probing import PodProbes
from nodeagent.pods.qos import qos_class
from nodeagent.pods.resizing import PodResizes
from nodeagent.pods.starting import CannotStart, pod_ips, start_container
from nodeagent.pods.states import PodState
from nodeagent.pods.status import NodeAddresses, generate
from nodeagent.pods.statuswriter import StatusWriter
from nodeagent.runtime.interface import RuntimeFailure, Sandbox
from nodeagent.runtime.logrotation import remove_with_log
from tiphys.api.core.pod import Pod
from tiphys.client.errors import ApiError, ConnectionFailed
from tiphys.logs import fields

_log = logging.getLogger(__name__)

RETRY_SECONDS = (
    10.0  # a container whose configuration is not right is tried again after this, or when an object changes
)
FAILED_TURN_SECONDS = 2.0


class PodWorker:
    """`lookup()` gives the API's pod with this uid, or None when the API no longer has it."""

    def __init__(self, node: Node, pod_uid: str, lookup: Callable[[], Pod | None]) -> None:
        self.node, self.pod_uid, self._lookup = node, pod_uid, lookup
        self.state: PodState | None = None
        self.status = StatusWriter(node)
        self._woken = asyncio.Event()
        self._woken.set()
        self._last: Pod | None = None
        self._memory_backoff: dict[str, BackoffEntry] = {}
        self._backoff_before: dict[str, BackoffEntry] = {}  # as it was before this turn's plan
        self._waiting: dict[str, Waiting] = {}
        self._retries: dict[str, tuple[BackoffEntry, datetime]] = {}  # failed starts: next try
        self._stops = ContainerStops(node, self.wake)
        self._probes = PodProbes(node, self.wake)
        self._hooks: dict[str, asyncio.Task[None]] = {}
        self._stillborn: dict[str, ObservedContainer] = {}  # newest attempts that could not be run at all
        self._ground = PodGround(node, pod_uid)
        self.resizes = PodResizes(node, pod_uid)
        self._ending: Ending | None = None
        self._rejected: Waiting | None = None
        self._replaced: set[str] = set()
        self._announced: dict[str, str] = {}
        self._seen_at = node.clock.monotonic()
        self._was_running = False
        self._shown_exits: set[str] = set()
        self._over = asyncio.Event()  # nothing of the pod runs, nothing will

    def wake(self) -> None:
        """Take a turn soon."""
        self._woken.set()

    def objects_changed(self) -> None:
        """An object the pod refers to is another now: volumes are set up again, failed starts are tried at once."""
        self._ground.refresh()
        self._retries.clear()
        self.wake()

    def end(self, ending: Ending) -> None:
        """The node ends the pod: it becomes Failed with the words of `ending`.  The first one counts."""
        if self._ending is None:
            self._ending = ending
            if ending.event and self._last is not None:
                self.node.event(self._last, "Warning", ending.reason, ending.message)
        self.wake()

    async def wait_over(self) -> None:
        """Until nothing of the pod runs and its status has been written."""
        await self._over.wait()
        await self.status.flush()

    async def run(self) -> None:
        """Until the pod is gone from the API and from the node."""
        try:
            delay: float | None = None
            while True:
                await self._sleep(delay)
                started = self.node.clock.monotonic()
                try:
                    done, delay = await self.turn()
                except (RuntimeFailure, ApiError, ConnectionFailed, OSError) as error:
                    _log.warning("pod turn failed", extra=fields(pod=self.pod_uid, cause=error))
                    done, delay = False, FAILED_TURN_SECONDS
                except Exception:
                    _log.exception("pod turn broke", extra=fields(pod=self.pod_uid))
                    done, delay = False, 5 * FAILED_TURN_SECONDS
                self.node.metrics.pod_worker.labels("sync").observe(self.node.clock.monotonic() - started)
                if done:
                    return
        finally:
            await self.close()

    async def _sleep(self, delay: float | None) -> None:
        try:
            async with asyncio.timeout(delay):
                await self._woken.wait()
        except TimeoutError:
            pass
        self._woken.clear()

    async def close(self) -> None:
        """Let go of the pod; its containers go on."""
        self._over.set()
        self._probes.stop()
        self._stops.cancel()
        for task in self._hooks.values():
            task.cancel()
        await self.status.close()

    async def turn(self) -> tuple[bool, float | None]:
        """One look and what follows from it: (the pod is gone for good, seconds after which to look again)."""
        pod = self._current()
        observed, sandbox = await self._look()
        retry_seconds: float | None = None
        if pod is not None:
            await self._admit(pod, observed, sandbox)
            retry_seconds = await self._settle(pod, observed)
            pod = self._last = self.resizes.running(pod)
        now = self.node.clock.now()
        actions = plan(pod, observed, self._memory(observed), now)
        if retry_seconds is not None:
            actions.wake_within(retry_seconds)
        self.state = actions.state
        self._replaced.update(kill.container_id for kill in actions.kill if kill.replace)
        self._backoff_before, self._memory_backoff = self._memory_backoff, actions.backoff
        ips = pod_ips(self.node, self._last, sandbox) if self._last is not None else ()
        self._stops.apply(self._last, actions.kill, ips[0] if ips else "")
        if pod is None:
            return await clean_up(self.node, self.pod_uid, self._last, observed, actions), actions.wake_after_seconds
        self._show_exits(pod, observed, actions, now)
        self._hold_back(pod, actions)
        again = await self._act(pod, observed, sandbox, actions)
        observed, sandbox = await self._look()
        self._probes.update(pod, observed, pod_ips(self.node, pod, sandbox), self._hooks)
        self._say(pod, observed, now)
        if actions.state is PodState.FINISHED and not observed.running():
            self._over.set()
        if actions.state is PodState.TERMINATED and not observed.running():
            await self.status.flush()
            await finish_deletion(self.node, pod, observed)
            return False, None
        if again:
            self.wake()
        return False, actions.wake_after_seconds

    async def _look(self) -> tuple[Observed, Sandbox | None]:
        """What the runtime shows, and the attempts that never became containers."""
        observed, sandbox = await observe(self.node, self.pod_uid)
        for name, attempt in list(self._stillborn.items()):
            latest = observed.latest(name)
            if latest is not None and latest.attempt > attempt.attempt:
                del self._stillborn[name]
        return replace(observed, containers=(*observed.containers, *self._stillborn.values())), sandbox

    def _current(self) -> Pod | None:
        """The API's pod, or what our last write made of it if that is newer."""
        pod = self._lookup()
        if pod is None or not is_static(pod):
            return None if pod is None else self.status.current(pod)
        mirror = self.node.static.mirror(pod)
        return pod if mirror is None else pod.model_copy(update={"status": self.status.current(mirror).status})

    async def _admit(self, pod: Pod, observed: Observed, sandbox: Sandbox | None) -> None:
        if is_static(pod):
            await self.node.static.settle(pod)
        if observed.containers or sandbox is not None:
            self.node.admissions.taken_already(self.pod_uid)
        before, self._rejected = self._rejected, await self.node.admissions.ask(pod)
        if self._rejected is not None and before is None:
            self.node.event(pod, "Warning", self._rejected.reason, self._rejected.message)

    async def _settle(self, pod: Pod, observed: Observed) -> float | None:
        """In-place resize: seconds after which to try again, None when there is nothing to do."""
        over = pod.metadata.deletionTimestamp or self._ending is not None or pod.status.phase in OVER
        if over or self._rejected is not None:
            return None
        admissions = self.node.admissions
        return await self.resizes.settle(pod, observed, lambda: admissions.others(self.pod_uid), admissions.view)

    def _memory(self, observed: Observed) -> Memory:
        return Memory(
            backoff=self._memory_backoff,
            waiting=self._waiting,
            probes=self._probes.views(),
            stopping=self._stops.ids(),
            rejected=self._rejected,
            ending=self._ending,
            replaced=frozenset(self._replaced),
            resize=self.resizes.view(observed),
        )

    def _show_exits(self, pod: Pod, observed: Observed, actions: Actions, now: datetime) -> None:
        """An exit that this very turn covers with a restart or a wait is said before it: clients look for it."""
        names = {start.name for start in actions.start} | set(actions.waiting)
        exits = {found.id for name in names if (found := observed.latest(name)) is not None and found.exited}
        if exits - self._shown_exits:
            self._say(pod, observed, now, surely=True)
        self._shown_exits = exits

    def _say(self, pod: Pod, observed: Observed, now: datetime, *, surely: bool = False) -> None:
        """Work out the status and hand it to the writer; `surely`: it is written even if a newer one follows."""
        if pod.status.phase in OVER and not observed.containers and self._ending is None:
            return  # it was over before this agent saw it
        shown = self.node.static.mirror(pod) if is_static(pod) else pod
        if shown is None:
            return
        addresses = NodeAddresses(self.node.facts().ips)
        status = generate(pod, observed, self._memory(observed), addresses, now, age_seconds(pod, now))
        self.status.put(shown, status, surely=surely)
        if status["phase"] == "Running" and not self._was_running:
            self._was_running = True
            if pod.status.phase != "Running":
                self.node.metrics.pod_start.observe(self.node.clock.monotonic() - self._seen_at)

    def _hold_back(self, pod: Pod, actions: Actions) -> None:
        """Take over who waits for the crash loop back-off, and say it once per wait."""
        for name in [
            n for n, w in self._waiting.items() if w.reason == "CrashLoopBackOff" and n not in actions.waiting
        ]:
            del self._waiting[name]
        for name, waiting in actions.waiting.items():
            self._waiting[name] = waiting
            entry = actions.backoff.get(name)
            mark = str(entry.updated_at) if entry is not None else ""
            if self._announced.get(name) != mark:
                self._announced[name] = mark
                meta = pod.metadata
                text = f"Back-off restarting failed container {name} in pod {meta.name}_{meta.namespace}({meta.uid})"
                self.node.event(pod, "Warning", "BackOff", text, name, find_container(pod, name)[1])

    async def _act(self, pod: Pod, observed: Observed, sandbox: Sandbox | None, actions: Actions) -> bool:
        """Carry the plan out; True when the next turn has more to do at once."""
        for container_id in actions.prune:
            await remove_with_log(self.node.runtime, container_id)
        if actions.remove_sandbox:
            await self.node.sandboxes.remove(self.pod_uid)
        if actions.state is PodState.FINISHED:
            self._waiting.clear()
            if not observed.running():
                await self._ground.unmount()
            return False
        if actions.state in (PodState.TERMINATING, PodState.TERMINATED):
            self.node.images.forget(self.pod_uid)
            return False
        if not await self._ground.set_up_volumes(pod, sandbox, actions):
            return False
        if actions.create_sandbox:
            return await self._ground.create_sandbox(pod, actions)
        if sandbox is None:
            return False
        started = False
        for start in actions.start:
            if any(not task.done() for task in self._hooks.values()):
                break  # as upstream: a container is not started while an earlier one's postStart hook runs
            started = await self._start(pod, start, observed, sandbox, actions) or started
        return started and len(pod.spec.initContainers) > 0

    async def _start(self, pod: Pod, start: Start, observed: Observed, sandbox: Sandbox, actions: Actions) -> bool:
        retry = self._retries.get(start.name)
        if retry is not None:
            left = backoff.remaining_seconds(retry[0], retry[1], self.node.clock.now())
            if left > 0:
                actions.wake_within(left)
                return False
        volumes = self._ground.volumes
        assert volumes is not None
        parent = self.node.cgroups.pod_path(self.pod_uid, qos_class(pod))
        try:
            container_id = await start_container(self.node, pod, start, observed, sandbox, volumes, parent, self.wake)
        except CannotStart as failed:
            self._not_started(pod, start, failed, actions)
            return False
        self._waiting.pop(start.name, None)
        self._retries.pop(start.name, None)
        self.resizes.made(pod, start.name)
        self._post_start(pod, start.name, container_id, sandbox)
        return True

    def _not_started(self, pod: Pod, start: Start, failed: CannotStart, actions: Actions) -> None:
        """Remember why; a pull has its own timing, everything else is tried again with back-off."""
        if failed.attempt is not None:
            self._stillborn[start.name] = failed.attempt
            self._waiting.pop(start.name, None)
            self.node.event(pod, "Warning", "Failed", failed.event, start.name, find_container(pod, start.name)[1])
            self.wake()
            return
        self._memory_backoff = dict(self._memory_backoff)
        self._memory_backoff.pop(start.name, None)  # it was not started: the same restart is still to come
        if start.name in self._backoff_before:
            self._memory_backoff[start.name] = self._backoff_before[start.name]
        if failed.waiting.reason:  # none while a pull is under way: what was said before it stays
            self._waiting[start.name] = failed.waiting
        if failed.event:
            self.node.event(pod, "Warning", "Failed", failed.event, start.name, find_container(pod, start.name)[1])
            now = self.node.clock.now()
            before = self._retries.get(start.name)
            entry = backoff.next_entry(before[0] if before else None, now, now)
            if failed.waiting.reason == "CreateContainerConfigError":
                entry = BackoffEntry(RETRY_SECONDS, now)
            self._retries[start.name] = (entry, now)
            actions.wake_within(entry.seconds)

    def _post_start(self, pod: Pod, name: str, container_id: str, sandbox: Sandbox) -> None:
        container, field = find_container(pod, name)
        handler = container.lifecycle.postStart if container.lifecycle is not None else None
        if handler is None:
            return
        ips = pod_ips(self.node, pod, sandbox)

        async def hook() -> None:
            success, output = await run_hook(
                self.node, pod, container, container_id, handler, ips[0] if ips else "", 24 * 3600.0
            )
            if not success:
                self.node.event(
                    pod, "Warning", "FailedPostStartHook", f"PostStartHook failed: {output}"[:1024], name, field
                )
                self.node.event(pod, "Normal", "Killing", "FailedPostStartHook", name, field)
                await self.node.runtime.stop(container_id, 30)
            self._hooks.pop(name, None)
            self.wake()

        self._hooks[name] = asyncio.create_task(hook(), name=f"postStart {name}")
