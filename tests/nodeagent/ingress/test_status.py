"""Which addresses are published, and by whom."""

from __future__ import annotations

import pytest

from nodeagent.ingress.status import LISTENS, addresses, outdated, writer
from tests.nodeagent.ingress.test_plan import ingress
from tiphys.api.core.node import Node


def node(name: str, *, ready: bool = True, listens: bool = True, external: str = "") -> Node:
    found = [{"type": "InternalIP", "address": f"10.0.0.{name[-1]}"}, {"type": "Hostname", "address": name}]
    found += [{"type": "ExternalIP", "address": external}] if external else []
    conditions = [{"type": "Ready", "status": str(ready)}]
    metadata = {"name": name, "annotations": {LISTENS: "true"} if listens else {}}
    return Node.model_validate({"metadata": metadata, "status": {"addresses": found, "conditions": conditions}})


CASES = [
    ([], "", []),
    ([node("n2"), node("n1")], "n1", ["10.0.0.1", "10.0.0.2"]),
    ([node("n1", ready=False), node("n2")], "n2", ["10.0.0.2"]),
    ([node("n1", listens=False), node("n2")], "n2", ["10.0.0.2"]),
    ([node("n1", external="192.0.2.1"), node("n2")], "n1", ["192.0.2.1", "10.0.0.2"]),
]


@pytest.mark.parametrize(("nodes", "who", "what"), CASES)
def test_the_first_node_that_serves_writes_the_addresses_of_all(nodes: list[Node], who: str, what: list[str]) -> None:
    assert writer(nodes) == who and addresses(nodes) == [{"ip": ip} for ip in what]


def test_only_what_is_not_so_already_is_written() -> None:
    one = ingress("one")
    shown = one.model_copy(
        update={"status": one.status.model_validate({"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}})}
    )
    assert outdated([one, shown], [{"ip": "1.2.3.4"}]) == [one]
    assert outdated([one, shown], []) == [shown]
