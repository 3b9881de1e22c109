"""Service account tokens for projected volumes, made by the API server's TokenRequest and made anew before they end.

A token is renewed when 80 % of its life is over or after a day, whichever comes first; tokens live in memory and in
the pods' tmpfs volumes only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from nodeagent.volumes.payload import TokenRequest, VolumeError
from tiphys.api.core.pod import Pod
from tiphys.api.core.serviceaccount import ServiceAccount
from tiphys.api.times import parse_time
from tiphys.client.errors import ApiError, ConnectionFailed
from tiphys.client.rest import Client
from tiphys.clock import Clock

LONGEST_SECONDS = 24 * 3600.0


@dataclass(frozen=True)
class _Token:
    text: str
    renew_at: float  # monotonic


def renew_after_seconds(issued: datetime, expires: datetime) -> float:
    """When a token made at `issued` is to be renewed."""
    return min((expires - issued).total_seconds() * 0.8, LONGEST_SECONDS)


class ServiceAccountTokens:
    """`wake(pod_uid)` is called when a pod's token is due for renewal."""

    def __init__(self, client: Client, clock: Clock, wake: Callable[[str], None]) -> None:
        self._client = client
        self._clock = clock
        self._wake = wake
        self._tokens: dict[str, dict[TokenRequest, _Token]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}

    async def get(self, pod: Pod, requests: set[TokenRequest]) -> dict[TokenRequest, str]:
        """Valid tokens of the pod's service account.  Raises VolumeError."""
        held = self._tokens.setdefault(pod.metadata.uid, {})
        for request in sorted(requests, key=lambda r: (r.audience, r.expiration_seconds)):
            token = held.get(request)
            if token is None or token.renew_at <= self._clock.monotonic():
                try:
                    held[request] = await self._request(pod, request)
                except (ApiError, ConnectionFailed) as error:
                    if token is None:
                        raise VolumeError(f"failed to fetch token: {error}") from error
        self._schedule(pod.metadata.uid, held)
        return {request: held[request].text for request in requests}

    async def _request(self, pod: Pod, request: TokenRequest) -> _Token:
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {
                "audiences": [request.audience] if request.audience else [],
                "expirationSeconds": request.expiration_seconds,
                "boundObjectRef": {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "name": pod.metadata.name,
                    "uid": pod.metadata.uid,
                },
            },
        }
        account = pod.spec.serviceAccountName or "default"
        answer = await self._client.create_subresource(ServiceAccount, account, pod.metadata.namespace, "token", body)
        status = answer["status"]
        after = renew_after_seconds(self._clock.now(), parse_time(status["expirationTimestamp"]))
        return _Token(status["token"], self._clock.monotonic() + after)

    def _schedule(self, pod_uid: str, held: dict[TokenRequest, _Token]) -> None:
        timer = self._timers.pop(pod_uid, None)
        if timer is not None:
            timer.cancel()
        if held:
            delay = max(1.0, min(t.renew_at for t in held.values()) - self._clock.monotonic())
            self._timers[pod_uid] = asyncio.get_running_loop().call_later(delay, self._wake, pod_uid)

    def forget(self, pod_uid: str) -> None:
        self._tokens.pop(pod_uid, None)
        timer = self._timers.pop(pod_uid, None)
        if timer is not None:
            timer.cancel()
