"""An unmodified kubectl: what it prints of the cluster, and what it does without containers."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conformance.api import Api, eventually
from tests.conformance.cluster import KUBECTL, Cluster
from tests.conformance.rows import row


@row(190, "Kubectl, check version v1")
def test_kubectl_api_versions_says_that_v1_is_available(cluster: Cluster) -> None:
    assert "v1" in cluster.kubectl("api-versions").splitlines()


@row(191, "Kubectl, cluster info")
def test_kubectl_cluster_info_includes_the_control_plane(cluster: Cluster) -> None:
    text = re.sub(r"\x1b\[[0-9;]*m", "", cluster.kubectl("cluster-info"))
    assert f"Kubernetes control plane is running at {cluster.api.url}" in text


@row(198, "Kubectl, run pod")
def test_kubectl_run_creates_a_pod_from_an_image_when_restart_is_never(
    cluster: Cluster, api: Api, namespace: str
) -> None:
    cluster.kubectl("run", "example", "--restart=Never", "--image=example:1", "-n", namespace)
    pods = api.items(f"/api/v1/namespaces/{namespace}/pods")
    assert [pod["metadata"]["name"] for pod in pods] == ["example"]
    assert [container["image"] for container in pods[0]["spec"]["containers"]] == ["example:1"]
    assert pods[0]["spec"]["restartPolicy"] == "Never"


@row(199, "Kubectl, server-side dry-run Pod")
def test_kubectl_dry_runs_an_update_of_a_pod(cluster: Cluster, api: Api, namespace: str) -> None:
    where = ("-n", namespace)
    cluster.kubectl("run", "example", "--image=example:1", "--labels=run=example", *where)
    patch = json.dumps({"spec": {"containers": [{"name": "example", "image": "example:2"}]}})
    out = cluster.kubectl("patch", "pod", "example", "-p", patch, "--dry-run=server", "-o", "json", *where)
    assert json.loads(out)["spec"]["containers"][0]["image"] == "example:2"
    live = api.get(f"/api/v1/namespaces/{namespace}/pods/example")
    assert live["spec"]["containers"][0]["image"] == "example:1"


@row(200, "Kubectl, version")
def test_kubectl_version_prints_all_data(cluster: Cluster) -> None:
    text = cluster.kubectl("version")
    for part in ("Client Version: v1.", "Server Version: v1.36."):
        assert part in text
    server = json.loads(cluster.kubectl("version", "-o", "json"))["serverVersion"]
    required = {"major", "minor", "gitVersion", "gitTreeState", "buildDate", "goVersion", "compiler"}
    assert required | {"platform"} <= {key for key, value in server.items() if value}


@row(201, "Kubectl, proxy socket")
def test_the_proxy_server_supports_a_unix_socket(cluster: Cluster, tmp_path: Path) -> None:
    path = tmp_path / "proxy.sock"
    with proxy(cluster, f"--unix-socket={path}"):
        eventually(path.exists, "the socket is there")
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            connection.sendall(b"GET /api/ HTTP/1.0\r\nHost: localhost\r\n\r\n")
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            assert answer.status == 200
            assert json.load(answer)["versions"] == ["v1"]


@row(202, "Kubectl, proxy port zero")
def test_the_proxy_server_supports_port_0(cluster: Cluster) -> None:
    with proxy(cluster, "--port=0", "--disable-filter") as process:
        assert process.stdout is not None
        line = ""
        while "Starting to serve on" not in line:
            line = process.stdout.readline()
            assert line, "kubectl proxy ended"
        port = int(line.rsplit(":", 1)[1])
        assert port > 0
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", "/api/")
        assert json.load(connection.getresponse())["versions"] == ["v1"]
        connection.close()


@contextmanager
def proxy(cluster: Cluster, *flags: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [str(KUBECTL), "proxy", *flags],
        env=cluster.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=20)
