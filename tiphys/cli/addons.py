"""What a new cluster with a node starts with beside the server's own objects: a default storage class.

Installed once: what its users change or delete afterwards stays as they left it.
"""

from __future__ import annotations

from typing import Any

from tiphys.cli.cluster import Layout
from tiphys.cli.errors import ServerError
from tiphys.cli.server import Server
from tiphys.client.kubeconfig import load_kubeconfig

STORAGE_CLASS: dict[str, Any] = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {
        "name": "local-path",
        "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
    },
    "provisioner": "tiphys.dev/local-path",
    "reclaimPolicy": "Delete",
    "volumeBindingMode": "WaitForFirstConsumer",
    "allowVolumeExpansion": True,
}


def install(layout: Layout) -> None:
    """Once per data directory.  Raises CommandError."""
    marker = layout.root / "addons"
    if marker.exists():
        return
    server = Server(load_kubeconfig(str(layout.kubeconfig("admin"))))
    try:
        server.json("POST", "/apis/storage.k8s.io/v1/storageclasses", body=STORAGE_CLASS)
    except ServerError as error:
        if error.code != 409:
            raise
    marker.write_text("local-path\n")
