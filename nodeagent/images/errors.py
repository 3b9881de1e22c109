"""Why an image could not be had, in the words the kubelet's users know.

What must stay true: every failure of a pull, whoever caused it, reaches the caller as ImagePullError with a cause a
person can act upon; no credential is ever part of a text."""

from __future__ import annotations


class ImagePullError(Exception):
    """`message` is the text for events and waiting.message; `code` the CRI status code's name ("NotFound", ...);
    `reason` the container's waiting reason ("ErrImagePull", "InvalidImageName")."""

    def __init__(self, message: str, *, code: str = "Unknown", reason: str = "ErrImagePull") -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason

    @property
    def rpc_message(self) -> str:
        """The text as the kubelet prints a runtime's answer."""
        return f"rpc error: code = {self.code} desc = {self.message}"


class InvalidReferenceError(ImagePullError):
    """The image name is no reference."""

    def __init__(self, name: str, cause: str = "invalid reference format") -> None:
        shown = name if len(name) <= 300 else name[:300] + "..."
        super().__init__(
            f"couldn't parse image name {shown!r}: {cause}", code="InvalidArgument", reason="InvalidImageName"
        )


class AccessDeniedError(ImagePullError):
    """401 or 403: other credentials may help."""


class NotFoundError(ImagePullError):
    """No such repository, tag, manifest or blob."""


class HostileContentError(ImagePullError):
    """What the registry sent is malformed, oversized, or tries to reach outside: retrying cannot help."""
