"""Who may use an image that is on the node already: the kubelet's imagePullCredentialsVerificationPolicy.

An image that one pod has brought with its Secret must not be open to another pod that merely names it.  So each image
carries marks of what opened the registry's door for it: `ANYBODY` after a pull without credentials, else the sealed
credential.  A pod whose credentials are not among them has to ask the registry itself.

What must stay true: no credential can be read back from a mark; an image without marks was not pulled by this node.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Collection
from pathlib import Path
from typing import Literal

import orjson

from nodeagent.images.credentials import Credential

Policy = Literal["NeverVerify", "NeverVerifyPreloadedImages", "AlwaysVerify"]
DEFAULT_POLICY: Policy = "NeverVerifyPreloadedImages"
ANYBODY = "anybody"
_KEPT = 100  # marks per image, as upstream; the oldest goes


class CredentialSeal:
    """Turns credentials into marks, with a key that stays on this node."""

    def __init__(self, root: Path) -> None:
        file = root / "seal"
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as new:
                new.write(os.urandom(32))
        except FileExistsError:
            pass
        self._key = file.read_bytes()

    def of(self, credential: Credential | None) -> str:
        """ANYBODY without one."""
        if credential is None:
            return ANYBODY
        body = [credential.username, credential.password, credential.identity_token, credential.registry_token]
        return hmac.new(self._key, orjson.dumps(body), hashlib.sha256).hexdigest()


def allowed(policy: Policy, marks: Collection[str] | None, offered: Collection[str]) -> bool:
    """Whether a pod that offers these marks may use the image.  Pure.

    >>> allowed("NeverVerifyPreloadedImages", None, []), allowed("NeverVerifyPreloadedImages", ("m",), [])
    (True, False)
    """
    if policy == "NeverVerify":
        return True
    if marks is None:
        return policy == "NeverVerifyPreloadedImages"
    return ANYBODY in marks or any(mark in marks for mark in offered)


def remembered(marks: tuple[str, ...] | None, new: str) -> tuple[str, ...] | None:
    """The marks after another pull; an image that was here before the node pulled it stays as it is."""
    if marks is None or new in marks:
        return marks
    return (*marks, new)[-_KEPT:]
