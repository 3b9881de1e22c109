"""Plain calls as tools make them that bring no library of ours: one connection pool, JSON in and out."""

from __future__ import annotations

import json
from typing import Any

import kubernetes
from kubernetes.client.exceptions import ApiException

from tests.cli.running import RunningCluster

Object = dict[str, Any]
APPLY = {"Content-Type": "application/apply-patch+yaml"}
MERGE = {"Content-Type": "application/merge-patch+json"}
JSON_PATCH = {"Content-Type": "application/json-patch+json"}


class Api:
    """Through the official client's connection pool, as the administrator."""

    def __init__(self, cluster: RunningCluster) -> None:
        self._client = kubernetes.config.new_client_from_config(str(cluster.kubeconfig))
        self._host = self._client.configuration.host

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Object:
        """The answer, also of a refusal."""
        headers = {"Accept": "application/json", "Content-Type": "application/json", **headers}
        try:
            answer = self._client.rest_client.request(method, self._host + path, headers=headers, body=body)
            text = answer.read()
        except ApiException as refused:
            text = refused.body
        found: Object = json.loads(text)
        return found
