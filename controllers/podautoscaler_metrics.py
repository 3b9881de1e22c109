"""Where an autoscaler's numbers come from: the three metrics APIs, asked through the API server.

metrics.k8s.io says what pods and containers use; custom.metrics.k8s.io and external.metrics.k8s.io are served by
extension servers where there are any.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Protocol
from urllib.parse import quote

import orjson

from controllers.podautoscaler_replicas import NoReplicas, Sample
from tiphys.api.quantity import milli
from tiphys.api.times import parse_time
from tiphys.client.rest import Client

RESOURCE = "/apis/metrics.k8s.io/v1beta1"
CUSTOM = "/apis/custom.metrics.k8s.io/v1beta2"
EXTERNAL = "/apis/external.metrics.k8s.io/v1beta1"


class Metrics(Protocol):
    async def resource(self, namespace: str, selector: str, name: str, container: str) -> dict[str, Sample]:
        """Pod -> use of the resource.  Every method raises NoReplicas when there is no answer."""

    async def pods(self, namespace: str, selector: str, metric: str, metric_selector: str) -> dict[str, Sample]:
        """Pod -> value."""

    async def object(self, namespace: str, resource: str, name: str, metric: str, metric_selector: str) -> int:
        """The metric of one object, in thousandths."""

    async def external(self, namespace: str, metric: str, metric_selector: str) -> int:
        """The sum of the series, in thousandths."""


class MetricsApis:
    """`Metrics` over HTTP."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def _get(self, path: str, what: str, **query: str) -> Any:
        given = {key: value for key, value in query.items() if value}
        status, _, body = await self._client.request("GET", path, query=given)
        if status >= 400:
            try:
                message = orjson.loads(body).get("message", "")
            except orjson.JSONDecodeError:
                message = body.decode(errors="replace")[:200]
            raise NoReplicas(f"unable to fetch metrics from {what}: {message.strip()}")
        return orjson.loads(body)

    async def resource(self, namespace: str, selector: str, name: str, container: str) -> dict[str, Sample]:
        path = f"{RESOURCE}/namespaces/{namespace}/pods"
        answer = await self._get(path, "resource metrics API", labelSelector=selector)
        found = {
            item["metadata"]["name"]: sample
            for item in answer.get("items") or ()
            if (sample := pod_sample(item, name, container)) is not None
        }
        if not found:
            raise NoReplicas("no metrics returned from resource metrics API")
        return found

    async def pods(self, namespace: str, selector: str, metric: str, metric_selector: str) -> dict[str, Sample]:
        path = f"{CUSTOM}/namespaces/{namespace}/pods/*/{quote(metric)}"
        chosen = {"labelSelector": selector, "metricLabelSelector": metric_selector}
        answer = await self._get(path, "custom metrics API", **chosen)
        found = {one["describedObject"]["name"]: _value(one) for one in answer.get("items") or ()}
        if not found:
            raise NoReplicas("no metrics returned from custom metrics API")
        return found

    async def object(self, namespace: str, resource: str, name: str, metric: str, metric_selector: str) -> int:
        path = f"{CUSTOM}/namespaces/{namespace}/{resource}/{quote(name)}/{quote(metric)}"
        answer = await self._get(path, "custom metrics API", metricLabelSelector=metric_selector)
        items = answer.get("items") or []
        if len(items) != 1:
            raise NoReplicas("the custom metrics API server returned no metric for the object")
        return _value(items[0]).milli

    async def external(self, namespace: str, metric: str, metric_selector: str) -> int:
        path = f"{EXTERNAL}/namespaces/{namespace}/{quote(metric)}"
        answer = await self._get(path, "external metrics API", labelSelector=metric_selector)
        items = answer.get("items") or []
        if not items:
            raise NoReplicas("no metrics returned from external metrics API")
        return sum(milli(one["value"]) for one in items)


def pod_sample(item: Mapping[str, Any], name: str, container: str = "") -> Sample | None:
    """The use of a resource by a PodMetrics' pod, or by one of its containers; None where one does not say."""
    total = 0
    containers = [one for one in item.get("containers") or () if not container or one["name"] == container]
    for one in containers:
        if name not in one.get("usage", {}):
            return None
        total += milli(one["usage"][name])
    if not containers:
        return None
    return Sample(total, parse_time(item["timestamp"]), _window(item.get("window", "30s")))


def _value(one: Mapping[str, Any]) -> Sample:
    return Sample(milli(one["value"]), parse_time(one["timestamp"]))


def _window(text: str) -> timedelta:
    """ "30s", "15.036s", "1m0s"."""
    minutes, _, seconds = text.removesuffix("s").rpartition("m")
    try:
        return timedelta(minutes=float(minutes or 0), seconds=float(seconds or 0))
    except ValueError:
        return timedelta(seconds=30)
