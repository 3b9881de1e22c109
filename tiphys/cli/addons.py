"""What a new cluster with a node starts with beside the server's own objects: a storage class, the DNS's
address, an ingress class.

Installed once: what its users change or delete afterwards stays as they left it.
"""

from __future__ import annotations

from typing import Any

from tiphys.cli.cluster import DNS_ADDRESS, Layout
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

# Without a selector and endpoints: every node's agent answers at this address itself.
DNS_SERVICE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {
        "name": "kube-dns",
        "namespace": "kube-system",
        "labels": {
            "k8s-app": "kube-dns",
            "kubernetes.io/cluster-service": "true",
            "kubernetes.io/name": "CoreDNS",  # what tools look for
        },
    },
    "spec": {
        "clusterIP": DNS_ADDRESS,
        "ports": [
            {"name": "dns", "port": 53, "protocol": "UDP"},
            {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
        ],
    },
}


INGRESS_CLASS: dict[str, Any] = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "IngressClass",
    "metadata": {
        "name": "tiphys",
        "annotations": {"ingressclass.kubernetes.io/is-default-class": "true"},
    },
    "spec": {"controller": "tiphys.dev/ingress"},
}


def install(layout: Layout, *, ingress: bool = True) -> None:
    """Each once per data directory.  Raises CommandError."""
    wanted = {
        "local-path": ("/apis/storage.k8s.io/v1/storageclasses", STORAGE_CLASS),
        "kube-dns": ("/api/v1/namespaces/kube-system/services", DNS_SERVICE),
    }
    if ingress:
        wanted["ingress"] = ("/apis/networking.k8s.io/v1/ingressclasses", INGRESS_CLASS)
    marker = layout.root / "addons"
    installed = marker.read_text().split() if marker.exists() else []
    missing = [name for name in wanted if name not in installed]
    if not missing:
        return
    server = Server(load_kubeconfig(str(layout.kubeconfig("admin"))))
    for name in missing:
        path, body = wanted[name]
        try:
            server.json("POST", path, body=body)
        except ServerError as error:
            if error.code != 409:
                raise
    marker.write_text("\n".join([*installed, *missing]) + "\n")
