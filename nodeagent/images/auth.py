"""Answering a registry's challenge: basic, or a bearer token from its token service.

What must stay true: name and password leave only over TLS, or over plain HTTP to the loopback or insecure registry they
belong to; the scope asked for is pull on the one repository, whatever the challenge asks; a realm cannot send us to
addresses a redirect could not.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from yarl import URL

from nodeagent.images.credentials import Credential
from nodeagent.images.errors import AccessDeniedError, HostileContentError
from nodeagent.images.image import json_object
from nodeagent.images.transport import RefusedRequestError, is_loopback

if TYPE_CHECKING:
    from nodeagent.images.transport import Transport

_MAX_TOKEN_ANSWER_BYTES = 1 << 20
_MAX_CHALLENGE = 8192
_SCHEME = re.compile(r"\s*([A-Za-z][A-Za-z0-9._-]*)(?:\s+|$|,)")
_PARAMETER = re.compile(r'\s*([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))\s*(?:,|$)')
_TOKEN = re.compile(r"[\x21-\x7e]{1,65536}")


@dataclass(frozen=True)
class Challenge:
    scheme: str  # lower case
    parameters: dict[str, str]


def parse_challenges(headers: Sequence[str]) -> list[Challenge]:
    """WWW-Authenticate values; what cannot be read is left out."""
    found = []
    for header in headers:
        text = header[:_MAX_CHALLENGE]
        position = 0
        while match := _SCHEME.match(text, position):
            position = match.end()
            parameters: dict[str, str] = {}
            while pair := _PARAMETER.match(text, position):
                name, quoted, plain = pair.groups()
                parameters[name.lower()] = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain
                position = pair.end()
            found.append(Challenge(match[1].lower(), parameters))
    return found


def basic(credential: Credential) -> str:
    return "Basic " + base64.b64encode(f"{credential.username}:{credential.password}".encode()).decode()


async def authorize(
    transport: Transport, registry: URL, path: str, challenges: Sequence[Challenge], credential: Credential | None
) -> str | None:
    """A value for `Authorization`, or None if nothing we have answers the challenge.

    Raises AccessDeniedError if the token service refuses the credential.
    """
    if credential is not None and credential.registry_token:
        return f"Bearer {credential.registry_token}"
    for challenge in challenges:
        if challenge.scheme == "bearer":
            return await _bearer(transport, registry, path, challenge, credential)
    if credential is not None and credential.username and any(c.scheme == "basic" for c in challenges):
        return basic(credential)
    return None


async def _bearer(
    transport: Transport, registry: URL, path: str, challenge: Challenge, credential: Credential | None
) -> str:
    realm, guarded = _realm(registry, challenge, insecure=transport.config.insecure)
    scope = f"repository:{path}:pull"
    service = challenge.parameters.get("service", "")
    headers = {"Accept": "application/json"}
    if credential is not None and credential.identity_token:
        method, url = "POST", realm
        data = {
            "grant_type": "refresh_token",
            "refresh_token": credential.identity_token,
            "client_id": "tiphys",
            "service": service,
            "scope": scope,
        }
    else:
        method, data = "GET", None
        url = realm.update_query({**({"service": service} if service else {}), "scope": scope})
        if credential is not None and credential.username:
            headers["Authorization"] = basic(credential)
    async with transport.request(method, url, headers=headers, data=data, redirects=False, guarded=guarded) as response:
        body = await response.content.read(_MAX_TOKEN_ANSWER_BYTES + 1)
        while len(body) <= _MAX_TOKEN_ANSWER_BYTES and (more := await response.content.read(1 << 16)):
            body += more
        if response.status in (400, 401, 403):
            raise AccessDeniedError(
                "pull access denied, repository does not exist or may require authorization: authorization failed: "
                f"failed to fetch token: unexpected status: {response.status} {response.reason}"
            )
        if response.status != 200:
            raise AccessDeniedError(
                f"failed to authorize: failed to fetch token: unexpected status: {response.status} {response.reason}"
            )
    return f"Bearer {_token(body)}"


def _token(body: bytes) -> str:
    if len(body) > _MAX_TOKEN_ANSWER_BYTES:
        raise HostileContentError("failed to authorize: token answer longer than 1 MiB")
    document = json_object(body, "token answer")
    token = document.get("token") or document.get("access_token")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise HostileContentError("failed to authorize: no token in answer")
    return token


def _realm(registry: URL, challenge: Challenge, *, insecure: frozenset[str]) -> tuple[URL, bool]:
    """The token service's address, and whether it must not be on this machine."""
    text = challenge.parameters.get("realm", "")
    try:
        realm = URL(text)
    except ValueError:
        realm = URL("")
    if realm.scheme not in ("http", "https") or not realm.host or realm.user:
        raise RefusedRequestError(f"refused token realm {text!r:.200}")
    local = is_loopback(registry.host or "")
    if realm.scheme == "http":
        same_host = realm.host == registry.host and registry.scheme == "http"
        named = realm.host in insecure or f"{realm.host}:{realm.port}" in insecure
        if not (same_host or named or (local and is_loopback(realm.host) and registry.scheme == "http")):
            raise RefusedRequestError(f"refused token realm {str(realm.with_query(None))!r}: not https")
    return realm, not local and realm.host != registry.host
