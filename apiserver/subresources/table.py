"""Which function serves which subresource, and which kinds are answered instead of stored."""

from __future__ import annotations

from collections.abc import Mapping

from apiserver.authentication.serviceaccount import ServiceAccountTokens, TokenSigner
from apiserver.authorization import Union
from apiserver.dispatch import Subresources, Verb
from apiserver.subresources.attach import attach_subresource
from apiserver.subresources.binding import bind, bind_by_body
from apiserver.subresources.eviction import evict
from apiserver.subresources.exec import exec_subresource
from apiserver.subresources.finalize import finalize
from apiserver.subresources.kubelets import Agents
from apiserver.subresources.log import Kubelets
from apiserver.subresources.portforward import portforward_subresource
from apiserver.subresources.proxy import Proxy
from apiserver.subresources.reviews import access_review, rules_review, self_access_review, self_review, token_review
from apiserver.subresources.scale import get_scale, patch_scale, update_scale
from apiserver.subresources.token import token_subresource
from apiserver.verbs.get import get
from apiserver.verbs.patch import patch
from apiserver.verbs.update import update

_PROXIED = ("get", "create", "update", "patch", "delete", "")


def subresources(signer: TokenSigner, agents: Agents, proxy: Proxy) -> Subresources:
    return {
        ("*", "*", "status"): {"get": get, "update": update, "patch": patch},
        ("*", "*", "scale"): {"get": get_scale, "update": update_scale, "patch": patch_scale},
        ("", "nodes", "proxy"): dict.fromkeys(_PROXIED, proxy.node),
        ("", "pods", "proxy"): dict.fromkeys(_PROXIED, proxy.pod),
        ("", "services", "proxy"): dict.fromkeys(_PROXIED, proxy.service),
        ("", "pods", "binding"): {"create": bind},
        ("", "pods", "eviction"): {"create": evict},
        ("", "pods", "log"): {"get": Kubelets(agents).log},
        ("", "pods", "exec"): {"create": exec_subresource(agents)},
        ("", "pods", "attach"): {"create": attach_subresource(agents)},
        ("", "pods", "portforward"): {"create": portforward_subresource(agents)},
        ("", "pods", "ephemeralcontainers"): {"get": get, "update": update, "patch": patch},
        ("", "pods", "resize"): {"get": get, "update": update, "patch": patch},
        ("", "namespaces", "finalize"): {"update": finalize},
        ("certificates.k8s.io", "certificatesigningrequests", "approval"): {
            "get": get,
            "update": update,
            "patch": patch,
        },
        ("", "serviceaccounts", "token"): {"create": token_subresource(signer)},
    }


def virtual_kinds(authorizer: Union, tokens: ServiceAccountTokens) -> Mapping[tuple[str, str], Verb]:
    access = access_review(authorizer)
    return {
        ("", "bindings"): bind_by_body,
        ("authentication.k8s.io", "tokenreviews"): token_review(tokens),
        ("authentication.k8s.io", "selfsubjectreviews"): self_review,
        ("authorization.k8s.io", "subjectaccessreviews"): access,
        ("authorization.k8s.io", "localsubjectaccessreviews"): access,
        ("authorization.k8s.io", "selfsubjectaccessreviews"): self_access_review(authorizer),
        ("authorization.k8s.io", "selfsubjectrulesreviews"): rules_review(authorizer),
    }
