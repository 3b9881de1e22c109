"""HorizontalPodAutoscaler: as many replicas as the metrics call for, as fast as the behaviour allows.

Each autoscaler is looked at every SYNC_SECONDS.  What a metric calls for is podautoscaler_replicas.py, what may become
of it now podautoscaler_behavior.py, where the numbers come from podautoscaler_metrics.py.  This file asks, writes the
scale subresource of the target, and says in status, conditions and events what was done.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

import orjson

from controllers.podautoscaler_behavior import Limited, Memory, bounds, limit
from controllers.podautoscaler_metrics import Metrics, MetricsApis
from controllers.podautoscaler_proposals import Proposal, Target, Unable, propose
from controllers.podautoscaler_replicas import TOLERANCE, Tolerance
from controllers.podautoscaler_status import changed_status, with_condition
from tiphys.api.autoscaling.horizontalpodautoscaler_v2 import HorizontalPodAutoscaler, HPAScalingRules
from tiphys.api.autoscaling.metrics import CrossVersionObjectReference
from tiphys.api.core.pod import Pod
from tiphys.api.quantity import parse_quantity
from tiphys.api.selectors import parse_label_selector
from tiphys.api.times import format_time
from tiphys.client.cache import Key
from tiphys.client.controller import Controller, Environment, Writes
from tiphys.client.discovery import ServedResource, discover
from tiphys.client.errors import ApiError, error_of_response
from tiphys.client.resources import Resource

SYNC_SECONDS = 15.0


def _anything(kind: str) -> Resource[Any]:
    """Rights on what only running clusters know."""
    return Resource("*", "*", "*", kind, True, HorizontalPodAutoscaler.model_validate)


def tolerance_of(autoscaler: HorizontalPodAutoscaler) -> Tolerance:
    def one(rules: HPAScalingRules | None) -> float:
        return TOLERANCE if rules is None or rules.tolerance is None else float(parse_quantity(rules.tolerance))

    behavior = autoscaler.spec.behavior
    return Tolerance() if behavior is None else Tolerance(one(behavior.scaleUp), one(behavior.scaleDown))


class PodAutoscalerController(Controller):
    name: ClassVar = "horizontal-pod-autoscaler"
    kind = HorizontalPodAutoscaler
    reads = (Pod,)
    writes = (
        Writes(HorizontalPodAutoscaler, ("update",), "status"),
        Writes(_anything("Scale"), ("get", "update"), "scale"),
        Writes(Resource("metrics.k8s.io", "v1beta1", "pods", "PodMetrics", True, Pod.model_validate), ("list",)),
        Writes(Resource("custom.metrics.k8s.io", "v1beta2", "*", "", True, Pod.model_validate), ("get", "list")),
        Writes(Resource("external.metrics.k8s.io", "v1beta1", "*", "", True, Pod.model_validate), ("get", "list")),
    )

    def __init__(
        self,
        environment: Environment,
        metrics: Metrics | None = None,
        sync_seconds: float = SYNC_SECONDS,
    ) -> None:
        super().__init__(environment)
        self.metrics = metrics or MetricsApis(self.client)
        self.sync_seconds = sync_seconds
        self._memories: dict[Key, tuple[str, Memory]] = {}
        self._served: dict[tuple[str, str], ServedResource] = {}

    async def reconcile(self, key: Key) -> float | None:
        autoscaler = self.cache(HorizontalPodAutoscaler).get(*key)
        if autoscaler is None:
            self._memories.pop(key, None)
            return None
        if autoscaler.metadata.deletionTimestamp:
            return None
        uid, memory = self._memories.get(key, ("", Memory()))
        if uid != autoscaler.metadata.uid:
            memory = Memory()
            self._memories[key] = (autoscaler.metadata.uid, memory)
        new = await _Turn(self, autoscaler, memory, self.clock.now()).run()
        if changed_status(autoscaler, new):
            await self.client.update(new, subresource="status")
        return self.sync_seconds

    async def path_of(self, reference: CrossVersionObjectReference, namespace: str) -> str:
        """The path of the object a reference names.  Raises ApiError, Unable."""
        group = reference.apiVersion.rpartition("/")[0]
        if (group, reference.kind) not in self._served:
            self._served = {(one.group, one.kind): one for one in reversed(await discover(self.client))}
        served = self._served.get((group, reference.kind))
        if served is None:
            raise Unable("FailedGetScale", f'no matches for kind "{reference.kind}" in group "{group}"')
        return served.partial.path(namespace, reference.name)

    async def scale(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """GET or PUT of a scale subresource."""
        data = None if body is None else orjson.dumps(body)
        headers = {"Content-Type": "application/json"} if data else None
        status, answer_headers, answer = await self.client.request(method, path, body=data, headers=headers)
        if status >= 400:
            raise error_of_response(status, answer_headers, answer)
        found: dict[str, Any] = orjson.loads(answer)
        return found


class _Turn:
    """One look at one autoscaler; `run` returns it with its new status."""

    def __init__(
        self, controller: PodAutoscalerController, autoscaler: HorizontalPodAutoscaler, memory: Memory, now: datetime
    ) -> None:
        self.controller = controller
        self.autoscaler = autoscaler
        self.memory = memory
        self.now = now
        memory.forget(now)

    def _say(self, type: str, status: bool, reason: str, message: str) -> None:
        self.autoscaler = with_condition(self.autoscaler, type, status, reason, message, self.now)

    def _event(self, type: str, reason: str, message: str) -> None:
        self.controller.events.event(self.autoscaler, type, reason, message, source=self.controller.name)

    async def run(self) -> HorizontalPodAutoscaler:
        namespace = self.autoscaler.metadata.namespace
        try:
            path = await self.controller.path_of(self.autoscaler.spec.scaleTargetRef, namespace) + "/scale"
            scale = await self.controller.scale("GET", path)
        except (ApiError, Unable) as error:
            self._event("Warning", "FailedGetScale", str(error))
            text = f"the HPA controller was unable to get the target's current scale: {error}"
            self._say("AbleToScale", False, "FailedGetScale", text)
            return self._finish(None, None, [])
        text = "the HPA controller was able to get the target's current scale"
        self._say("AbleToScale", True, "SucceededGetScale", text)
        current = int((scale.get("spec") or {}).get("replicas") or 0)
        if not self.memory.recommended:
            self.memory.recommended.append((self.now, current))
        low, high = bounds(self.autoscaler)
        proposals: list[Proposal] = []
        if current == 0 and low != 0:
            text = "scaling is disabled since the replica count of the target is zero"
            self._say("ScalingActive", False, "ScalingDisabled", text)
            return self._finish(current, 0, proposals)
        if current > high:
            wanted, reason = high, "Current number of replicas above Spec.MaxReplicas"
        elif current < low:
            wanted, reason = low, "Current number of replicas below Spec.MinReplicas"
        else:
            try:
                wanted, reason, proposals = await self._follow_metrics(scale, current)
            except Unable as error:
                self._say("ScalingActive", False, error.reason, str(error))
                self._event("Warning", error.reason, str(error))
                self._event("Warning", "FailedComputeMetricsReplicas", f"invalid metrics: {error}")
                return self._finish(current, self.autoscaler.status.desiredReplicas or current, error.proposals)
        if wanted != current:
            return await self._rescale(path, scale, current, wanted, reason, proposals)
        return self._finish(current, current, proposals)

    async def _follow_metrics(self, scale: dict[str, Any], current: int) -> tuple[int, str, list[Proposal]]:
        status = scale.get("status") or {}
        selector = status.get("selector") or ""
        if not selector:
            self._event("Warning", "SelectorRequired", "selector is required")
            raise Unable("InvalidSelector", "the HPA target's scale is missing a selector")
        namespace = self.autoscaler.metadata.namespace
        pods = self.controller.cache(Pod).list(namespace, parse_label_selector(selector))
        tolerance = tolerance_of(self.autoscaler)
        replicas = int(status.get("replicas") or 0)
        target = Target(namespace, selector, pods, current, replicas, tolerance, self.now)
        proposals = await propose(self.autoscaler, target, self.controller.metrics, self._resource_of)
        best = max(proposals, key=lambda one: one.replicas)
        text = f"the HPA was able to successfully calculate a replica count from {best.name}"
        self._say("ScalingActive", True, "ValidMetricFound", text)
        limited: Limited = limit(self.autoscaler, current, best.replicas, self.memory, self.now)
        self._say("AbleToScale", True, *limited.able)
        self._say("ScalingLimited", *limited.limited)
        reason = f"{best.name} above target" if best.replicas > current else "All metrics below target"
        return limited.replicas, reason, proposals

    async def _resource_of(self, reference: CrossVersionObjectReference) -> str:
        """ "deployments.apps" of a described object, as the custom metrics API names it."""
        group = reference.apiVersion.rpartition("/")[0]
        plural = (await self.controller.path_of(reference, "x")).split("/")[-2]
        return f"{plural}.{group}" if group else plural

    async def _rescale(
        self,
        path: str,
        scale: dict[str, Any],
        current: int,
        wanted: int,
        reason: str,
        proposals: list[Proposal],
    ) -> HorizontalPodAutoscaler:
        try:
            await self.controller.scale("PUT", path, {**scale, "spec": {"replicas": wanted}})
        except ApiError as error:
            self._event("Warning", "FailedRescale", f"New size: {wanted}; reason: {reason}; error: {error}")
            text = f"the HPA controller was unable to update the target scale: {error}"
            self._say("AbleToScale", False, "FailedUpdateScale", text)
            return self._finish(current, self.autoscaler.status.desiredReplicas, proposals)
        text = f"the HPA controller was able to update the target scale to {wanted}"
        self._say("AbleToScale", True, "SucceededRescale", text)
        self._event("Normal", "SuccessfulRescale", f"New size: {wanted}; reason: {reason}")
        self.memory.note_change(current, wanted, self.now)
        return self._finish(current, wanted, proposals, rescaled=True)

    def _finish(
        self, current: int | None, desired: int | None, proposals: list[Proposal], *, rescaled: bool = False
    ) -> HorizontalPodAutoscaler:
        update: dict[str, Any] = {"observedGeneration": self.autoscaler.metadata.generation}
        if current is not None:
            update |= {"currentReplicas": current, "currentMetrics": [one.status for one in proposals]}
        if desired is not None:
            update["desiredReplicas"] = desired
        if rescaled:
            update["lastScaleTime"] = format_time(self.now)
        status = self.autoscaler.status.model_copy(update=update)
        return self.autoscaler.model_copy(update={"status": status})
