"""How extension servers learn who the user is: headers, a client certificate, and a ConfigMap that says which count.

What must stay true: the headers are written from the authenticated user only; what a client sent under these names is
dropped before (`apiserver/streaming/headers.py`).
"""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

from apiserver.bootstrap import Bootstrap
from apiserver.request import User
from apiserver.resources import Resources
from tiphys.pki import FRONT_PROXY

NAMESPACE, NAME = "kube-system", "extension-apiserver-authentication"
_TOKEN = "!#$&'*+-.^_`|~"  # what a header's name may have besides letters and digits; % is escaped itself


def identity_headers(user: User) -> list[tuple[str, str]]:
    pairs = [("X-Remote-User", user.name)]
    if user.uid:
        pairs.append(("X-Remote-Uid", user.uid))
    pairs += [("X-Remote-Group", group) for group in user.groups]
    pairs += [(f"X-Remote-Extra-{quote(key, safe=_TOKEN)}", value) for key, values in user.extra.items()
              for value in values]  # fmt: skip
    return [(name, value.replace("\r", " ").replace("\n", " ")) for name, value in pairs]


def authentication_data(pki_dir: Path) -> dict[str, str]:
    """The ConfigMap's data: whom an extension server should believe, and in which words."""
    return {
        "client-ca-file": (pki_dir / "ca.crt").read_text(),
        "requestheader-allowed-names": json.dumps([FRONT_PROXY.common_name]),
        "requestheader-client-ca-file": (pki_dir / "front-proxy-ca.crt").read_text(),
        "requestheader-extra-headers-prefix": json.dumps(["X-Remote-Extra-"]),
        "requestheader-group-headers": json.dumps(["X-Remote-Group"]),
        "requestheader-uid-headers": json.dumps(["X-Remote-Uid"]),
        "requestheader-username-headers": json.dumps(["X-Remote-User"]),
    }


async def publish(bootstrap: Bootstrap, resources: Resources, pki_dir: Path) -> None:
    """Make the ConfigMap what it should be."""
    data = authentication_data(pki_dir)
    obj = {"metadata": {"name": NAME, "namespace": NAMESPACE}, "data": data}
    if await bootstrap.ensure("", "v1", "configmaps", NAMESPACE, obj):
        return
    info = resources.registry.get("", "v1", "configmaps")
    assert info is not None
    await bootstrap.change(info, NAMESPACE, NAME, lambda found: {**found, "data": {**found.get("data", {}), **data}})
