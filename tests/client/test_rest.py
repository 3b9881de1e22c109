"""The typed client against a real API server."""

from dataclasses import replace

import pytest

from tiphys.api.core.configmap import ConfigMap
from tiphys.client.connection import Response, retry_after_seconds
from tiphys.client.errors import ApiError, ConnectionFailed, Deposed, error_of_response
from tiphys.client.resources import partial_resource
from tiphys.client.rest import Client, Write


def config_map(name: str, **data: str) -> ConfigMap:
    return ConfigMap.model_validate({"metadata": {"name": name, "namespace": "default"}, "data": data})


async def test_an_object_is_created_read_changed_patched_and_deleted(client: Client) -> None:
    created = await client.create(config_map("a", color="red"))
    assert created.metadata.uid and created.kind == "ConfigMap"
    assert await client.get(ConfigMap, "a", "default") == created
    changed = await client.update(created.model_copy(update={"data": {"color": "blue"}}))
    assert changed.data == {"color": "blue"}
    patched = await client.patch(ConfigMap, "a", "default", {"data": {"size": "L"}})
    assert patched.data == {"color": "blue", "size": "L"}
    await client.delete(ConfigMap, "a", "default", uid=created.metadata.uid)
    with pytest.raises(ApiError) as refused:
        await client.get(ConfigMap, "a", "default")
    assert refused.value.not_found and refused.value.message == 'configmaps "a" not found'


async def test_a_stale_update_is_a_conflict_and_a_second_create_already_exists(client: Client) -> None:
    first = await client.create(config_map("a", n="1"))
    await client.update(first.model_copy(update={"data": {"n": "2"}}))
    with pytest.raises(ApiError) as stale:
        await client.update(first.model_copy(update={"data": {"n": "3"}}))
    assert stale.value.conflict
    with pytest.raises(ApiError) as twice:
        await client.create(config_map("a"))
    assert twice.value.already_exists


async def test_lists_come_in_pages_at_one_revision(client: Client) -> None:
    for number in range(5):
        await client.create(config_map(f"c{number}"))
    first = await client.list(ConfigMap, "default", limit=2)
    await client.create(config_map("c9"))
    names, page = [item.metadata.name for item in first.items], first
    while page.continue_token:
        page = await client.list(ConfigMap, "default", limit=2, continue_token=page.continue_token)
        names += [item.metadata.name for item in page.items]
    assert names == ["c0", "c1", "c2", "c3", "c4"]
    assert page.resource_version == first.resource_version
    assert all(item.kind == "ConfigMap" for item in first.items)


async def test_a_watch_tells_what_happens_after_its_revision(client: Client) -> None:
    start = await client.list(ConfigMap, "default")
    await client.create(config_map("a", n="1"))
    await client.patch(ConfigMap, "a", "default", {"data": {"n": "2"}})
    await client.delete(ConfigMap, "a", "default")
    seen = []
    async for event in client.watch(ConfigMap, "default", resource_version=start.resource_version, timeout_seconds=20):
        if event.object is not None:
            seen.append((event.type, event.object.data["n"]))
        if len(seen) == 3:
            break
    assert seen == [("ADDED", "1"), ("MODIFIED", "2"), ("DELETED", "2")]


async def test_metadata_alone_can_be_asked_for(client: Client) -> None:
    await client.create(config_map("a", secret="x" * 1000))
    view = partial_resource("", "v1", "configmaps", "ConfigMap", True)
    found = await client.get(view, "a", "default")
    assert found.metadata.name == "a" and "data" not in found.to_dict()
    assert [item.metadata.name for item in (await client.list(view, "default")).items] == ["a"]


async def test_a_fenced_client_reads_but_does_not_write(client: Client) -> None:
    leading = True
    fenced = client.derived(fence=lambda: leading)
    created = await fenced.create(config_map("a"))
    leading = False
    assert await fenced.get(ConfigMap, "a", "default") == created
    for write in (
        fenced.create(config_map("b")),
        fenced.update(created),
        fenced.patch(ConfigMap, "a", "default", {}),
        fenced.delete(ConfigMap, "a", "default"),
        fenced.request("POST", "/api/v1/namespaces/default/configmaps", body=b"{}"),
    ):
        with pytest.raises(Deposed):
            await write
    assert [item.metadata.name for item in (await client.list(ConfigMap, "default")).items] == ["a"]


async def test_every_write_is_reported_with_its_revision(client: Client) -> None:
    writes: list[Write] = []
    noting = client.derived(on_write=writes.append)
    created = await noting.create(config_map("a"))
    await noting.create(config_map("dry"), dry_run=True)
    await noting.delete(ConfigMap, "a", "default", uid=created.metadata.uid)
    assert [(write.verb, write.name, write.resource_version) for write in writes] == [
        ("create", "a", created.metadata.resourceVersion),
        ("delete", "a", ""),
    ]


async def test_a_validation_error_names_the_fields(client: Client) -> None:
    with pytest.raises(ApiError) as refused:
        await client.create(config_map("Bad_Name"))
    assert refused.value.code == 422 and refused.value.details is not None
    assert "metadata.name" in [cause["field"] for cause in refused.value.details["causes"]]


async def test_no_server_is_a_failed_connection(client: Client) -> None:
    nowhere = replace(client.config, server="https://127.0.0.1:1")
    async with Client(nowhere) as lost:
        with pytest.raises(ConnectionFailed, match="127"):
            await lost.get(ConfigMap, "a", "default")


@pytest.mark.parametrize(
    ("method", "status", "after", "expected"),
    [
        ("POST", 429, "2", 2.0),
        ("GET", 503, "1", 1.0),
        ("POST", 503, "1", None),
        ("GET", 503, "", None),
        ("GET", 429, "Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("GET", 500, "1", None),
    ],
)
def test_a_request_is_sent_again_only_where_that_is_safe(
    method: str, status: int, after: str, expected: float | None
) -> None:
    assert retry_after_seconds(method, Response(status, {"Retry-After": after}, b"")) == expected


def test_an_answer_that_is_no_status_is_an_error_all_the_same() -> None:
    error = error_of_response(502, {}, b"<html>bad gateway</html>")
    assert error.code == 502 and "bad gateway" in error.message
