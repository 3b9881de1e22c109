"""The typed client: one method per verb, objects in and objects out.

Reads and writes are separate rooms here: `Reader` cannot change anything, `Client` adds the writes.  Every write goes
through `_write`, which asks the fence first (leaderelection.py) and reports the revision it made afterwards
(controller.py): that is all that leader fencing and read-your-own-writes need from the client.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import orjson

from tiphys.client.config import ClientConfig
from tiphys.client.connection import REQUEST_TIMEOUT_SECONDS, Connection
from tiphys.client.errors import ApiError, ConnectionFailed, Deposed, error_of_response
from tiphys.client.resources import ApiObject, Resource, resource_of
from tiphys.client.watch import WatchEvent, watch_events

T = TypeVar("T", bound=ApiObject)

PATCH_TYPES = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}


@dataclass(frozen=True, slots=True)
class ListResult(Generic[T]):
    """`resource_version` is the revision the whole answer is true at; `continue_token` is empty on the last page."""

    items: list[T]
    resource_version: str
    continue_token: str = ""


@dataclass(frozen=True, slots=True)
class Write:
    """What one write did, for whoever waits until a cache shows it."""

    resource: Resource[Any]
    verb: str  # create, update, patch, delete
    namespace: str
    name: str
    uid: str
    resource_version: str  # "" for a deletion that took effect at once
    lost: bool = False  # there was no clear answer: it may have been carried out, or not


class Client:
    """Talks to one API server as one identity.  `async with Client(config) as client`.

    Every method raises ApiError for a refusal and ConnectionFailed when there was no answer."""

    def __init__(self, config: ClientConfig, *, connection: Connection | None = None) -> None:
        self.config = config
        self.connection = connection or Connection(config)
        self._fence: Callable[[], bool] | None = None
        self._on_write: Callable[[Write], None] | None = None
        self._as: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.connection.close()

    async def close(self) -> None:
        await self.connection.close()

    def derived(
        self,
        *,
        fence: Callable[[], bool] | None = None,
        on_write: Callable[[Write], None] | None = None,
        user: str = "",
    ) -> Client:
        """A client on the same connection whose writes ask `fence` first and are reported to `on_write`.

        With `user` everything but watches is done as that user (impersonation)."""
        client = Client(self.config, connection=self.connection)
        client._fence = fence or self._fence
        client._on_write = on_write or self._on_write
        client._as = {"Impersonate-User": user} if user else self._as
        return client

    # Reads

    async def get(self, model: type[T] | Resource[T], name: str, namespace: str = "") -> T:
        resource = resource_of(model)
        body = await self._json("GET", resource.path(namespace, name), accept=resource.accept())
        return resource.decode(body)

    async def list(
        self,
        model: type[T] | Resource[T],
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
        limit: int = 0,
        continue_token: str = "",
    ) -> ListResult[T]:
        """One page (`limit` > 0) or everything; namespace "" lists all namespaces."""
        resource = resource_of(model)
        query = _given(
            labelSelector=label_selector,
            fieldSelector=field_selector,
            resourceVersion=resource_version,
            limit=str(limit or ""),
            **{"continue": continue_token},
        )
        body = await self._json("GET", resource.path(namespace), query=query, accept=resource.accept("list"))
        metadata = body.get("metadata") or {}
        items = [resource.decode(_typed(item, resource)) for item in body.get("items") or []]
        return ListResult(items, str(metadata.get("resourceVersion", "")), str(metadata.get("continue") or ""))

    def watch(
        self,
        model: type[T] | Resource[T],
        namespace: str = "",
        *,
        resource_version: str = "",
        label_selector: str = "",
        field_selector: str = "",
        send_initial_events: bool = False,
        timeout_seconds: int = 0,
    ) -> AsyncGenerator[WatchEvent[T], None]:
        """Events after `resource_version`, bookmarks included, until the server or the caller ends the stream.

        An ERROR event is raised as the ApiError it carries (410: list again)."""
        return watch_events(
            self.connection,
            resource_of(model),
            namespace,
            _given(
                resourceVersion=resource_version,
                resourceVersionMatch="NotOlderThan" if send_initial_events else "",
                sendInitialEvents="true" if send_initial_events else "",
                labelSelector=label_selector,
                fieldSelector=field_selector,
                timeoutSeconds=str(timeout_seconds or ""),
            ),
            timeout_seconds,
        )

    # Writes

    async def create(
        self, obj: T, *, dry_run: bool = False, field_manager: str = "", subresource: str = "", name: str = ""
    ) -> T:
        """POST.  `subresource` with `name` posts to an object's subresource (binding, eviction, token)."""
        resource = _resource_of_object(obj)
        namespace = obj.metadata.namespace
        query = _given(dryRun="All" if dry_run else "", fieldManager=field_manager)
        path = resource.path(namespace, name, subresource)
        return await self._write("create", resource, "POST", path, query, _wire(obj, resource))

    async def create_subresource(
        self, model: type[T] | Resource[T], name: str, namespace: str, subresource: str, body: Mapping[str, Any]
    ) -> dict[str, Any]:
        """POST a plain object to a subresource of another kind: pods/binding, pods/eviction, serviceaccounts/token."""
        self._check_fence()
        path = resource_of(model).path(namespace, name, subresource)
        return await self._json("POST", path, body=orjson.dumps(body))

    async def update(self, obj: T, *, subresource: str = "", field_manager: str = "", dry_run: bool = False) -> T:
        """PUT.  With metadata.resourceVersion set, a conflict (409) if somebody wrote in between."""
        resource = _resource_of_object(obj)
        path = resource.path(obj.metadata.namespace, obj.metadata.name, subresource)
        query = _given(fieldManager=field_manager, dryRun="All" if dry_run else "")
        return await self._write("update", resource, "PUT", path, query, _wire(obj, resource))

    async def patch(
        self,
        model: type[T] | Resource[T],
        name: str,
        namespace: str,
        patch: object,
        *,
        patch_type: str = "merge",
        subresource: str = "",
        field_manager: str = "",
        force: bool = False,
        dry_run: bool = False,
        field_validation: str = "",
    ) -> T:
        """PATCH with `patch` as JSON.  `patch_type` is merge, json, strategic or apply (which needs a manager)."""
        resource = resource_of(model)
        query = _given(
            fieldManager=field_manager,
            force="true" if force else "",
            dryRun="All" if dry_run else "",
            fieldValidation=field_validation,
        )
        path = resource.path(namespace, name, subresource)
        return await self._write(
            "patch", resource, "PATCH", path, query, orjson.dumps(patch), content_type=PATCH_TYPES[patch_type]
        )

    async def delete(
        self,
        model: type[T] | Resource[T],
        name: str,
        namespace: str = "",
        *,
        propagation: str = "",
        uid: str = "",
        resource_version: str = "",
        grace_period_seconds: int | None = None,
    ) -> None:
        """DELETE; `uid` and `resource_version` are preconditions, `propagation` Background, Foreground or Orphan."""
        self._check_fence()
        resource = resource_of(model)
        options: dict[str, Any] = {"kind": "DeleteOptions", "apiVersion": "v1"}
        preconditions = _given(uid=uid, resourceVersion=resource_version)
        if preconditions:
            options["preconditions"] = preconditions
        if propagation:
            options["propagationPolicy"] = propagation
        if grace_period_seconds is not None:
            options["gracePeriodSeconds"] = grace_period_seconds
        with self._reported(resource, "delete", namespace, name):
            await self._json("DELETE", resource.path(namespace, name), body=orjson.dumps(options))
        if self._on_write is not None:
            self._on_write(Write(resource, "delete", namespace, name, uid, ""))

    async def delete_collection(
        self, model: type[T] | Resource[T], namespace: str, *, propagation: str = "", label_selector: str = ""
    ) -> None:
        """DELETE on the collection."""
        self._check_fence()
        resource = resource_of(model)
        options = {"kind": "DeleteOptions", "apiVersion": "v1", **_given(propagationPolicy=propagation)}
        query = _given(labelSelector=label_selector)
        await self._json("DELETE", resource.path(namespace), query=query, body=orjson.dumps(options))

    # Everything else

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float = REQUEST_TIMEOUT_SECONDS,
    ) -> tuple[int, Mapping[str, str], bytes]:
        """A raw request; any status is an answer.  Raises ConnectionFailed, and Deposed for a fenced write."""
        if method not in ("GET", "HEAD"):
            self._check_fence()
        given = {**self._as, **(headers or {})}
        response = await self.connection.send(
            method, path, query=query, body=body, headers=given, timeout_seconds=timeout_seconds
        )
        return response.status, response.headers, response.body

    def _check_fence(self) -> None:
        if self._fence is not None and not self._fence():
            raise Deposed("this process is not the leader: write refused")

    @contextmanager
    def _reported(self, resource: Resource[Any], verb: str, namespace: str, name: str) -> Iterator[None]:
        """A write that may have been carried out although it failed is reported too."""
        try:
            yield
        except (ConnectionFailed, ApiError) as error:
            if self._on_write is not None and not (isinstance(error, ApiError) and error.code < 500):
                self._on_write(Write(resource, verb, namespace, name, "", "", lost=True))
            raise

    async def _write(
        self,
        verb: str,
        resource: Resource[T],
        method: str,
        path: str,
        query: Mapping[str, str],
        body: bytes,
        content_type: str = "application/json",
    ) -> T:
        self._check_fence()
        with self._reported(resource, verb, "", ""):
            answer = await self._json(method, path, query=query, body=body, content_type=content_type)
        written = resource.decode(_typed(answer, resource))
        if self._on_write is not None and "dryRun" not in query:
            meta = written.metadata
            self._on_write(Write(resource, verb, meta.namespace, meta.name, meta.uid, meta.resourceVersion))
        return written

    async def _json(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        accept: str = "application/json",
        content_type: str = "application/json",
    ) -> dict[str, Any]:
        headers = {"Accept": accept, **self._as}
        if body is not None:
            headers["Content-Type"] = content_type
        response = await self.connection.send(method, path, query=query, body=body, headers=headers)
        if response.status >= 400:
            raise error_of_response(response.status, response.headers, response.body)
        answer: dict[str, Any] = orjson.loads(response.body) if response.body else {}
        return answer


def _given(**values: str) -> dict[str, str]:
    return {key: value for key, value in values.items() if value}


def _resource_of_object(obj: T) -> Resource[T]:
    return resource_of(type(obj))


def _typed(item: dict[str, Any], resource: Resource[Any]) -> dict[str, Any]:
    """Items of a list carry no kind of their own: give them what their list says."""
    if "kind" not in item:
        return {"apiVersion": resource.api_version, "kind": resource.kind, **item}
    return item


def _wire(obj: ApiObject, resource: Resource[Any]) -> bytes:
    return orjson.dumps({"apiVersion": resource.api_version, "kind": resource.kind, **obj.to_dict()})
