"""What the server fills in for network policies and ingress classes."""

from typing import Any

from tiphys.api.declaration import sets_defaults

JsonObject = dict[str, Any]


@sets_defaults("io.k8s.api.networking.v1.NetworkPolicyPort")
def network_policy_port(port: JsonObject) -> None:
    port.setdefault("protocol", "TCP")


@sets_defaults("io.k8s.api.networking.v1.NetworkPolicy")
def network_policy(obj: JsonObject) -> None:
    spec = obj.setdefault("spec", {})
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


@sets_defaults("io.k8s.api.networking.v1.IngressClass")
def ingress_class(obj: JsonObject) -> None:
    parameters = obj.get("spec", {}).get("parameters")
    if parameters is not None and parameters.get("scope") is None:
        parameters["scope"] = "Cluster"
