"""Which serving certificates a node gets without a person's yes."""

from __future__ import annotations

import base64

import pytest

from controllers.certificaterequests import Request, parse
from controllers.kubeletserving import refusal
from nodeagent.bootstrap import request
from tiphys.api.core.node import Node

NODE = Node.model_validate(
    {
        "metadata": {"name": "n1"},
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": "192.0.2.1"},
                {"type": "InternalIP", "address": "192.0.2.9"},
                {"type": "InternalIP", "address": "127.0.0.1"},
            ]
        },
    }
)
FOREIGN = {"192.0.2.9", "10.96.0.1"}


def parsed(name: str, *hosts: str) -> Request:
    return parse(base64.b64encode(request(name, hosts)[1]).decode())


@pytest.mark.parametrize(
    ("asked", "user", "expected"),
    [
        (("n1", "n1", "192.0.2.1"), "system:node:n1", ""),
        (("n1", "n1"), "system:node:n1", ""),
        (("n1", "n1"), "system:node:n2", "it is not the node itself that asks"),
        (("n1", "n1"), "system:bootstrap:abcdef", "it is not the node itself that asks"),
        (("n2", "n2"), "system:node:n2", "the node is not registered"),
        (("n1", "kubernetes.default.svc"), "system:node:n1", "kubernetes.default.svc is not the node's name"),
        (("n1", "192.0.2.2"), "system:node:n1", "192.0.2.2 is not the node's address"),
        (("n1", "127.0.0.1"), "system:node:n1", "127.0.0.1 is not the node's address"),
        (("n1", "192.0.2.9"), "system:node:n1", "192.0.2.9 is somebody else's address"),
    ],
)
def test_a_node_gets_a_certificate_for_itself_and_nobody_else(asked: tuple[str, ...], user: str, expected: str) -> None:
    name, *hosts = asked
    assert refusal(parsed(name, *hosts), user, NODE, FOREIGN) == expected


def test_an_unregistered_node_gets_none() -> None:
    assert refusal(parsed("n1", "n1"), "system:node:n1", None, ()) == "the node is not registered"
