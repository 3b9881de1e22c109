"""The continue token of a paged list: a position and the revision the list began at.

A token is the caller's to keep but not to change: it can only name a key below the list's own prefix.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

import orjson

from tiphys.api.status import StatusError, bad_request

_VERSION = "meta.k8s.io/v1"
INCONSISTENT = -1  # go on in whatever is there now, after a 410


@dataclass(frozen=True, slots=True)
class Position:
    start: str  # a full key
    revision: int  # INCONSISTENT: no particular one


def encode_token(start: str, revision: int, prefix: str) -> str:
    token = {"v": _VERSION, "rv": revision, "start": start.removeprefix(prefix)}
    return base64.urlsafe_b64encode(orjson.dumps(token)).rstrip(b"=").decode()


def decode_token(text: str, prefix: str) -> Position:
    """Raises 400."""
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        token = orjson.loads(raw)
        version, revision, start = token["v"], token["rv"], token["start"]
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        raise _invalid(str(error)) from None
    if version != _VERSION:
        raise _invalid(f'server does not recognize this encoded version "{version}"')
    plausible = type(revision) is int and (revision == INCONSISTENT or 0 < revision < 2**63)
    if not plausible or not isinstance(start, str) or not start:
        raise _invalid("incorrect encoded start resourceVersion (version meta.k8s.io/v1)")
    if "/../" in f"/{start}/" or start.startswith("/"):
        raise _invalid(f"invalid start key: {start}")
    return Position(prefix + start, revision)


def _invalid(text: str) -> StatusError:
    return bad_request(f"continue key is not valid: {text}")
