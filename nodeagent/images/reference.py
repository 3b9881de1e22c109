"""Image references: `[host[:port]/]path[:tag][@digest]`, by the grammar of the docker reference package.

What must stay true: a parsed Reference holds only characters that are safe in a URL path and a file name; text that is
not exactly a reference is refused, never repaired.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from nodeagent.images.errors import InvalidReferenceError

DEFAULT_DOMAIN = "docker.io"
_OFFICIAL = "library"
_NAME_MAX = 255
_TEXT_MAX = 1024

_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])"
_DOMAIN = re.compile(rf"{_HOST}(?::[0-9]{{1,5}})?")
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[a-f0-9]{64}")
_HEX64 = re.compile(r"[a-f0-9]{64}")


def is_digest(text: object) -> bool:
    """Is it `sha256:` and 64 lower-case hex digits?  Other algorithms are not supported."""
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


@dataclass(frozen=True)
class Reference:
    domain: str  # "docker.io", "127.0.0.1:5000"
    path: str  # "library/busybox"
    tag: str = ""
    digest: str = ""

    @property
    def repository(self) -> str:
        return f"{self.domain}/{self.path}"

    @property
    def target(self) -> str:
        """What to ask the registry for: the digest where there is one, else the tag."""
        return self.digest or self.tag

    @property
    def tagged(self) -> str:
        """`repository:tag`, or "" if the reference has no tag or is pinned by a digest."""
        return f"{self.repository}:{self.tag}" if self.tag and not self.digest else ""

    def with_digest(self, digest: str) -> Reference:
        return replace(self, digest=digest)

    def __str__(self) -> str:
        return self.repository + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def parse_reference(text: str) -> Reference:
    """Raises InvalidReferenceError.  Adds docker.io, library/ and :latest where they are left out."""
    if not text or len(text) > _TEXT_MAX:
        raise InvalidReferenceError(text)
    if _HEX64.fullmatch(text):
        raise InvalidReferenceError(text, "cannot specify 64-byte hexadecimal strings")
    name, at, digest = text.partition("@")
    if at and not is_digest(digest):
        raise InvalidReferenceError(text, _digest_fault(digest))
    head, slash, last = name.rpartition("/")
    last, colon, tag = last.partition(":")
    if colon and not _TAG.fullmatch(tag):
        raise InvalidReferenceError(text)
    domain, path = _split_domain(head + slash + last)
    if path.lower() != path and _PATH.fullmatch(path.lower()):
        raise InvalidReferenceError(text, f"invalid reference format: repository name ({path}) must be lowercase")
    if not _DOMAIN.fullmatch(domain) or not _PATH.fullmatch(path):
        raise InvalidReferenceError(text)
    if len(domain) + 1 + len(path) > _NAME_MAX:
        raise InvalidReferenceError(text, f"repository name must not be more than {_NAME_MAX} characters")
    if ":" in domain.rpartition("]")[2] and not 0 < int(domain.rpartition(":")[2]) < 65536:
        raise InvalidReferenceError(text)
    return Reference(domain, path, tag or ("" if digest else "latest"), digest)


def _digest_fault(digest: str) -> str:
    algorithm = digest.partition(":")[0]
    if re.fullmatch(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*", algorithm) and algorithm != "sha256":
        return "unsupported digest algorithm"
    return "invalid checksum digest format" if algorithm == "sha256" else "invalid reference format"


def _split_domain(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost" or first.lower() != first):
        domain, path = DEFAULT_DOMAIN, name
    else:
        domain, path = first, rest
    if domain == "index.docker.io":
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and "/" not in path:
        path = f"{_OFFICIAL}/{path}"
    return domain, path
