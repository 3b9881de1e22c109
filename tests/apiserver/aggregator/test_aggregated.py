"""A group and version that a real extension server answers for, through a real API server."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from tests.apiserver.agents import grant
from tests.apiserver.aggregator.extension import (
    APISERVICES,
    BASE,
    GROUP,
    NAME,
    VERSION,
    Extension,
    apiservice,
    extension,
    own_address,
    service_and_slice,
    serving,
)
from tests.apiserver.cluster import WAIT_SECONDS, Cluster

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]
FLUNDERS = f"{BASE}/namespaces/default/flunders"
V2 = {"Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}
Obj = dict[str, Any]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with own_address() as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(cluster: Cluster, address: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Extension]:
    """The extension server, registered and available."""
    made = extension(tmp_path_factory.mktemp("extension"), address, cluster.data_dir / "pki/front-proxy-ca.crt")
    async with serving(made):
        for path, obj in service_and_slice(made):
            await cluster.must("POST", path, obj)
        await cluster.must("POST", APISERVICES, apiservice(made))
        await available(cluster, NAME, "True")
        yield made


async def available(cluster: Cluster, name: str, status: str, reason: str = "") -> Obj:
    """The Available condition, once it has that status (and reason)."""

    async def look() -> Obj | None:
        obj = await cluster.must("GET", f"{APISERVICES}/{name}")
        for one in obj.get("status", {}).get("conditions", []):
            found: Obj = one
            if one["type"] == "Available" and one["status"] == status and reason in ("", one["reason"]):
                return found
        return None

    return await until(look, f"{name} is {status} {reason}")


async def until(probe: Callable[[], Any], what: str) -> Any:
    deadline = asyncio.get_running_loop().time() + WAIT_SECONDS
    while True:
        found = await probe()
        if found:
            return found
        assert asyncio.get_running_loop().time() < deadline, f"not in time: {what}"
        await asyncio.sleep(0.02)


async def test_objects_of_the_extension_are_made_read_changed_watched_and_deleted(
    cluster: Cluster, server: Extension
) -> None:
    made = await cluster.must("POST", FLUNDERS, {"metadata": {"name": "a"}, "spec": {"x": 1}})
    assert made["kind"] == "Flunder" and made["metadata"]["namespace"] == "default"
    async with cluster.watch(f"{FLUNDERS}?watch=true") as events:
        assert (await events.next())["object"]["metadata"]["name"] == "a"
        await cluster.must("POST", FLUNDERS, {"metadata": {"name": "b"}})
        assert (await events.next())["object"]["metadata"]["name"] == "b"
    await cluster.must("PATCH", f"{FLUNDERS}/a", {"spec": {"x": 2}}, content_type="application/merge-patch+json")
    assert (await cluster.must("GET", f"{FLUNDERS}/a"))["spec"] == {"x": 2}
    assert len((await cluster.must("GET", f"{BASE}/flunders?limit=500"))["items"]) == 2
    assert server.clients(f"{BASE}/flunders")[-1].path == f"{BASE}/flunders?limit=500"
    await cluster.must("DELETE", f"{FLUNDERS}/a")
    missing = await cluster.request("GET", f"{FLUNDERS}/a")
    assert missing.status == 404 and missing.json["message"] == "not here", "the extension's own answer"
    code, out, error = await cluster.kubectl("get", "fl", "b", "-o", "name")
    assert (code, out.strip()) == (0, f"flunder.{GROUP}/b"), error


async def test_the_extension_learns_who_asks_from_us_and_from_nobody_else(cluster: Cluster, server: Extension) -> None:
    claims = {
        "X-Remote-User": "somebody-else",
        "X-Remote-Group": "system:masters",
        "X-Remote-Extra-Scopes": "all",
        "X-Remote-Uid": "1",
        "Authorization": "Basic c2VjcmV0",
        "Impersonate-User": "jane",
        "Impersonate-Group": "developers",
        "Impersonate-Extra-Example.com%2fa": "b",
    }
    await grant(cluster, "jane", ["get"], ["flunders"])
    rules = [{"apiGroups": [GROUP], "resources": ["flunders"], "verbs": ["get"]}]
    role = "/apis/rbac.authorization.k8s.io/v1/clusterroles/jane"
    await cluster.must("PATCH", role, {"rules": rules}, content_type="application/merge-patch+json")
    await cluster.request("GET", f"{FLUNDERS}/who", headers=claims)
    seen = server.clients(f"{FLUNDERS}/who")[-1]
    assert seen.certified and seen.headers["x-remote-user"] == ["jane"]
    assert seen.headers["x-remote-group"] == ["developers", "system:authenticated"]
    assert seen.headers["x-remote-extra-example.com%2fa"] == ["b"]
    leaked = {"x-remote-extra-scopes", "x-remote-uid", "authorization"}
    leaked |= {name for name in seen.headers if name.startswith("impersonate")}
    assert not leaked & set(seen.headers), seen.headers
    claims = {key: value for key, value in claims.items() if not key.startswith("Impersonate")}
    assert (await cluster.request("GET", FLUNDERS, identity="node-n1", headers=claims)).status == 403, "authorized here"


async def test_without_rights_nothing_is_passed_on(cluster: Cluster, server: Extension) -> None:
    before = len(server.clients(FLUNDERS))
    refused = await cluster.request("GET", FLUNDERS, identity="node-n1")
    assert refused.status == 403 and "flunders.wardle.example.com is forbidden" in refused.json["message"]
    assert (await cluster.request("GET", FLUNDERS, identity="")).status in (401, 403)
    assert len(server.clients(FLUNDERS)) == before
    assert (await cluster.request("GET", FLUNDERS)).status == 200, "control"
    assert len(server.clients(FLUNDERS)) == before + 1


async def test_a_redirect_of_the_extension_is_not_followed(cluster: Cluster, server: Extension) -> None:
    asked: list[dict[str, str]] = []

    async def trap(request: web.Request) -> web.Response:
        asked.append(dict(request.headers))
        return web.Response(text="secret of the loopback")

    app = web.Application()
    app.router.add_get("/{tail:.*}", trap)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    target = f"http://127.0.0.1:{runner.addresses[0][1]}/metadata"
    server.redirect_to = target
    try:
        answer = await cluster.request("GET", f"{FLUNDERS}/x", headers={"Cookie": "a=b"})
        assert answer.status == 502 and b"attempted to redirect" in answer.body and "Location" not in answer.headers
        assert not asked, "nothing came, so no credentials came"
        async with aiohttp.ClientSession() as session, session.get(target) as control:
            assert "secret" in await control.text(), "control: whoever follows it gets there"
        followed = asked.copy()
        assert followed
    finally:
        server.redirect_to = ""
        await runner.cleanup()


async def test_a_websocket_goes_through(cluster: Cluster, server: Extension) -> None:
    async with cluster.session().ws_connect(f"{cluster.url}{FLUNDERS}/a/echo") as socket:
        await socket.send_str("hello")
        assert await asyncio.wait_for(socket.receive_str(), WAIT_SECONDS) == "hello for kubernetes-admin"


async def test_discovery_lists_the_extension_between_ours_by_priority(cluster: Cluster, server: Extension) -> None:
    async def fresh() -> Obj | None:
        items = (await cluster.must("GET", "/apis", headers=V2))["items"]
        names = [item["metadata"]["name"] for item in items]
        found: Obj = next(item for item in items if item["metadata"]["name"] == GROUP)
        assert names[0] == "apiregistration.k8s.io" and names[1] == "apps" and names[-1] == GROUP
        return found if found["versions"][0]["freshness"] == "Current" else None

    found = await until(fresh, "the extension's resources are listed")
    (resource,) = found["versions"][0]["resources"]
    assert resource["resource"] == "flunders" and resource["shortNames"] == ["fl"]
    assert resource["subresources"][0]["subresource"] == "status"
    groups = (await cluster.must("GET", "/apis"))["groups"]
    assert groups[-1]["preferredVersion"] == {"groupVersion": f"{GROUP}/{VERSION}", "version": VERSION}
    assert (await cluster.must("GET", f"/apis/{GROUP}"))["versions"][0]["version"] == VERSION
    assert (await cluster.must("GET", BASE))["resources"][0]["kind"] == "Flunder"


async def test_openapi_has_the_extension_in_both_versions_and_nothing_it_may_not_say(
    cluster: Cluster, server: Extension
) -> None:
    async def listed() -> Any:
        return (await cluster.must("GET", "/openapi/v3"))["paths"].get(BASE[1:])

    entry = await until(listed, "the index has the extension")
    document = await cluster.must("GET", entry["serverRelativeURL"])
    assert list(document["paths"]) == [f"{BASE}/namespaces/{{namespace}}/flunders/{{name}}"], "not /api/v1/pods"
    swagger = await cluster.must("GET", "/openapi/v2")
    assert "com.example.wardle.v1alpha1.Flunder" in swagger["definitions"]
    assert f"{BASE}/namespaces/{{namespace}}/flunders/{{name}}" in swagger["paths"]
    code, out, error = await cluster.kubectl("explain", "flunders")
    assert code == 0 and "A flunder of the extension." in out, error


async def test_an_extension_that_fails_costs_its_own_group_only(cluster: Cluster, server: Extension) -> None:
    server.healthy = False
    try:
        await touch(cluster, "one")
        condition = await available(cluster, NAME, "False", "FailedDiscoveryCheck")
        url = f"https://wardle.default.svc:443{BASE}"
        assert condition["message"] == f"failing or missing response from {url}: bad status from {url}: 500"
        refused = await cluster.request("GET", FLUNDERS)
        assert (refused.status, refused.body) == (503, b"service unavailable\n")
        items = {one["metadata"]["name"]: one for one in (await cluster.must("GET", "/apis", headers=V2))["items"]}
        assert items[GROUP]["versions"][0]["freshness"] == "Stale"
        assert items[GROUP]["versions"][0]["resources"], "what was known is still shown"
        assert items["apps"]["versions"][0]["freshness"] == "Current"
        code, _, error = await cluster.kubectl("get", "deployments")
        assert code == 0, error
    finally:
        server.healthy = True
    await touch(cluster, "two")
    await available(cluster, NAME, "True", "Passed")
    assert (await cluster.request("GET", FLUNDERS)).status == 200


async def touch(cluster: Cluster, value: str) -> None:
    """Have the aggregator look now and not in half a minute."""
    patch = {"metadata": {"annotations": {"touched": value}}}
    path = "/api/v1/namespaces/default/services/wardle"
    await cluster.must("PATCH", path, patch, content_type="application/merge-patch+json")


@contextlib.asynccontextmanager
async def registered(cluster: Cluster, obj: Obj) -> AsyncIterator[str]:
    await cluster.must("POST", APISERVICES, obj)
    name = obj["metadata"]["name"]
    try:
        yield name
    finally:
        await cluster.must("DELETE", f"{APISERVICES}/{name}")


async def test_why_an_api_service_is_not_available(cluster: Cluster, server: Extension) -> None:
    other = Extension(server.address, server.ca, server.context, group="other.example.com", port=server.port)
    async with registered(cluster, apiservice(other, service="nowhere")) as name:
        condition = await available(cluster, name, "False", "ServiceNotFound")
        assert condition["message"] == 'service/nowhere in "default" is not present'
        service: Obj = {"metadata": {"name": "nowhere"}, "spec": {"ports": [{"port": 444}]}}
        await cluster.must("POST", "/api/v1/namespaces/default/services", service)
        await available(cluster, name, "False", "ServicePortError")
        patch = {"spec": {"ports": [{"port": 443}]}}
        path = "/api/v1/namespaces/default/services/nowhere"
        await cluster.must("PATCH", path, patch, content_type="application/merge-patch+json")
        await available(cluster, name, "False", "EndpointsNotFound")
        collection, slice_ = service_and_slice(other, name="nowhere")[1]
        slice_["endpoints"][0]["conditions"]["ready"] = False
        await cluster.must("POST", collection, slice_)
        await available(cluster, name, "False", "MissingEndpoints")
        slice_["endpoints"][0]["conditions"]["ready"] = True
        await cluster.must("PUT", f"{collection}/nowhere-1", slice_)
        condition = await available(cluster, name, "False", "FailedDiscoveryCheck")
        assert "tls: failed to verify certificate" in condition["message"], "it is not for this name"


async def test_a_certificate_of_another_ca_is_not_believed_unless_asked_to(
    cluster: Cluster, server: Extension, tmp_path: Path
) -> None:
    other = extension(tmp_path, server.address, cluster.data_dir / "pki/front-proxy-ca.crt", service="second",
                      group="second.example.com")  # fmt: skip
    async with serving(other):
        for path, obj in service_and_slice(other, name="second"):
            await cluster.must("POST", path, obj)
        wrong = Extension(other.address, server.ca, other.context, group=other.group, port=other.port)
        async with registered(cluster, apiservice(wrong, service="second")) as name:
            await available(cluster, name, "False", "FailedDiscoveryCheck")
            assert (await cluster.request("GET", f"{other.base}/flunders")).status == 503
            assert not other.seen, "not even headers were sent"
        async with registered(
            cluster, apiservice(other, service="second", caBundle=None, insecureSkipTLSVerify=True)
        ) as name:
            await available(cluster, name, "True")
            assert (await cluster.must("GET", f"{other.base}/flunders"))["kind"] == "FlunderList", "control"
    listed = {item["name"] for item in (await cluster.must("GET", "/apis"))["groups"]}
    assert other.group not in listed, "it went with its APIService"
    assert (await cluster.request("GET", f"{other.base}/flunders")).status == 404


async def test_an_endpoint_on_the_loopback_address_is_not_called(cluster: Cluster, server: Extension) -> None:
    local = Extension("127.0.0.1", server.ca, server.context, group="local.example.com", port=server.port)
    collection, service = service_and_slice(local, name="local")[0]
    await cluster.must("POST", collection, {**service, "spec": {"type": "ExternalName", "externalName": "localhost"}})
    async with registered(
        cluster, apiservice(local, service="local", caBundle=None, insecureSkipTLSVerify=True)
    ) as name:
        condition = await available(cluster, name, "False", "FailedDiscoveryCheck")
        assert "address not allowed" in condition["message"], condition


async def test_kubectl_shows_what_is_served_here_and_there(cluster: Cluster, server: Extension) -> None:
    async def settled() -> bool:
        items = (await cluster.must("GET", APISERVICES))["items"]
        return len(items) > 15 and all(one.get("status", {}).get("conditions") for one in items)

    await until(settled, "every APIService has a condition")
    code, out, error = await cluster.kubectl("get", "apiservices")
    assert code == 0, error
    rows = {line.split()[0]: line.split()[1:3] for line in out.splitlines()[1:]}
    assert rows["v1."] == ["Local", "True"] and rows["v1.apps"] == ["Local", "True"]
    assert rows["v2.autoscaling"] == ["Local", "True"] and rows[NAME] == ["default/wardle", "True"]
    assert "v1.apiregistration.k8s.io" not in rows
    apps = await cluster.must("GET", f"{APISERVICES}/v1.apps")
    assert apps["metadata"]["labels"] == {"kube-aggregator.kubernetes.io/automanaged": "onstart"}
    spec = {"group": "apps", "version": "v1", "groupPriorityMinimum": 17800, "versionPriority": 15}
    assert apps["spec"] == spec
    (condition,) = apps["status"]["conditions"]
    assert condition["reason"] == "Local" and condition["message"] == "Local APIServices are always available"


async def test_extension_servers_can_read_whom_to_believe(cluster: Cluster) -> None:
    path = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
    data = (await cluster.must("GET", path))["data"]
    pki = cluster.data_dir / "pki"
    assert data["client-ca-file"] == (pki / "ca.crt").read_text()
    assert data["requestheader-client-ca-file"] == (pki / "front-proxy-ca.crt").read_text() != data["client-ca-file"]
    assert json.loads(data["requestheader-allowed-names"]) == ["front-proxy-client"]
    assert json.loads(data["requestheader-username-headers"]) == ["X-Remote-User"]


async def test_an_api_service_comes_and_goes_with_its_custom_resource(cluster: Cluster) -> None:
    from tests.apiserver.crd.definitions import CRDS, crd

    await cluster.must("POST", CRDS, crd("gadgets", "Gadget", "gadgets.example.com"))
    path = f"{APISERVICES}/v1.gadgets.example.com"

    async def there() -> bool:
        return (await cluster.request("GET", path)).status == 200

    async def gone() -> bool:
        return (await cluster.request("GET", path)).status == 404

    await until(there, "it has an APIService")
    made = await cluster.must("GET", path)
    assert made["metadata"]["labels"] == {"kube-aggregator.kubernetes.io/automanaged": "true"}
    assert (made["spec"]["groupPriorityMinimum"], made["spec"]["versionPriority"]) == (1000, 100)
    await cluster.must("DELETE", path)
    await until(there, "it is made again")
    await cluster.must("DELETE", f"{CRDS}/gadgets.gadgets.example.com")
    await until(gone, "it is gone with the definition")
