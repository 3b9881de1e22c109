"""Waiting for a cluster of this machine: the API server's /readyz, then the node's Ready condition.

Plain http.client on purpose: `up` and `status` should not load an event loop to ask two questions.
"""

from __future__ import annotations

import http.client
import json
import ssl
import time
from typing import Any
from urllib.parse import urlsplit

from tiphys.cli.cluster import Layout, Options
from tiphys.cli.errors import CommandError
from tiphys.clock import SystemClock

PAUSE_SECONDS = 0.02
MAX_RESTARTS = 3


class Asker:
    """One kept connection to the API server with the admin's certificate."""

    def __init__(self, options: Options, layout: Layout) -> None:
        self._context = ssl.create_default_context(cafile=str(layout.pki / "ca.crt"))
        self._context.load_cert_chain(layout.pki / "admin.crt", layout.pki / "admin.key")
        address = urlsplit(options.server_url)
        self._host, self._port = address.hostname or "127.0.0.1", address.port or 443
        self._connection: http.client.HTTPSConnection | None = None

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body; (0, cause) when there is no answer."""
        try:
            if self._connection is None:
                self._connection = http.client.HTTPSConnection(self._host, self._port, context=self._context, timeout=5)
            self._connection.request("GET", path, headers={"Accept": "application/json"})
            response = self._connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            return 0, str(error).encode()


def node_ready(node: dict[str, Any]) -> tuple[bool, str]:
    """Whether the Node object says Ready, and the condition's message."""
    for condition in node.get("status", {}).get("conditions", []):
        if condition.get("type") == "Ready":
            return condition.get("status") == "True", condition.get("message", "")
    return False, "the node has not reported yet"


def _question(options: Options, asker: Asker) -> str:
    """Empty when everything is ready, else what is being waited for."""
    code, body = asker.get("/readyz")
    if code != 200:
        return f"the API server is not ready: {body.decode(errors='replace').strip()[:300]}"
    if asker.get("/api/v1/namespaces/default/serviceaccounts/default")[0] != 200:
        # Without it the very next `kubectl run` is refused.
        return "the controllers have not made the default ServiceAccount yet"
    for name in options.node_names:
        code, body = asker.get(f"/api/v1/nodes/{name}")
        if code != 200:
            return f"node {name} has not registered yet"
        ready, message = node_ready(json.loads(body))
        if not ready:
            return f"node {name} is not ready: {message}"
    if options.fake_nodes:
        code, body = asker.get("/api/v1/nodes?labelSelector=type%3Dtiphys-fake")
        ready_nodes = sum(node_ready(item)[0] for item in json.loads(body).get("items", [])) if code == 200 else 0
        if ready_nodes < options.fake_nodes:
            return f"{ready_nodes} of {options.fake_nodes} simulated nodes are ready"
    return ""


def wait_ready(options: Options, layout: Layout, timeout_seconds: float) -> float:
    """Seconds until ready.  Raises CommandError with the cause and the end of the log of what keeps dying."""
    clock, asker = SystemClock(), Asker(options, layout)
    start = clock.monotonic()
    # What a running cluster went through before, or a killed supervisor left behind, is no failure of this start.
    before = _restarts(layout)
    while True:
        missing = _question(options, asker)
        elapsed = clock.monotonic() - start
        if not missing:
            return elapsed
        for name, state in layout.component_states().items():
            if int(str(state.get("restarts", 0))) - before.get(name, 0) >= MAX_RESTARTS:
                raise CommandError(_failure(layout, name, f"{name} keeps ending ({state.get('lastExit')})"))
        if layout.supervisor_pid() is None and elapsed > 1.0:
            raise CommandError(_failure(layout, "supervisor", "the supervisor has ended"))
        if elapsed > timeout_seconds:
            raise CommandError(f"not ready after {timeout_seconds:.0f} s: {missing}; logs: {layout.logs}")
        time.sleep(PAUSE_SECONDS)


def _restarts(layout: Layout) -> dict[str, int]:
    return {name: int(str(state.get("restarts", 0))) for name, state in layout.component_states().items()}


def _failure(layout: Layout, name: str, cause: str) -> str:
    tail = "\n".join(f"  {line}" for line in layout.log_tail(name))
    return f"{cause}; the end of {layout.logs / (name + '.log')}:\n{tail}"
