"""The newest state of every pod in the cluster, from one watch, for all the tests that wait.

What must stay true: waiting costs the cluster nothing, however many tests wait.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable
from typing import Any

from tests.conformance.api import Api, Object

_AGAIN_SECONDS = 0.2


class PodWatch:
    """Start it, `wait` from any thread, stop it."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._pods: dict[tuple[str, str], Object] = {}
        self._changed = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._follow, name="podwatch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped = True

    def wait(
        self, namespace: str, name: str, holds: Callable[[Object | None], Any], seconds: float
    ) -> tuple[bool, Object | None]:
        """(whether `holds(pod)` came true in time, the pod as last seen; None: there is none)."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                pod = self._pods.get((namespace, name))
                if holds(pod):
                    return True, pod
                left = deadline - time.monotonic()
                if left <= 0:
                    return False, pod
                self._changed.wait(left)

    def _follow(self) -> None:
        while not self._stopped:
            try:
                self._list_and_watch()
            except (OSError, http.client.HTTPException, AssertionError, ValueError):
                time.sleep(_AGAIN_SECONDS)  # the watch ended: list again

    def _list_and_watch(self) -> None:
        found = self._api.get("/api/v1/pods")
        with self._changed:
            self._pods = {_key(pod): pod for pod in found["items"]}
            self._changed.notify_all()
        version = found["metadata"]["resourceVersion"]
        with self._api.watch("/api/v1/pods", resourceVersion=version, timeoutSeconds=3600) as watch:
            while not self._stopped:
                kind, pod = watch.next()
                with self._changed:
                    if kind == "DELETED":
                        self._pods.pop(_key(pod), None)
                    elif kind in ("ADDED", "MODIFIED"):
                        self._pods[_key(pod)] = pod
                    else:
                        raise ValueError(json.dumps(pod))
                    self._changed.notify_all()


def _key(pod: Object) -> tuple[str, str]:
    return pod["metadata"]["namespace"], pod["metadata"]["name"]
