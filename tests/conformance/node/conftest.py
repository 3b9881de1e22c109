"""A machine with one real node, its images, and the concurrent play of the tests that take a `case`.

While these tests run, the process lives in the machine's network namespace.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.agnhost.build import Images, push_images
from tests.conformance.api import Api, eventually
from tests.conformance.cluster import Cluster, store
from tests.conformance.node.case import Case
from tests.conformance.node.concurrency import Runner
from tests.conformance.node.podwatch import PodWatch
from tests.machine import NODE, Machine

HERE = Path(__file__).parent
TEST_SECONDS = 420  # the first test starts the machine, and every test may wait for the others


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.timeout(TEST_SECONDS))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """The body of a test with a case has run, or runs, in a thread of its own: take its result."""
    case = pyfuncitem.funcargs.get("case")
    if not isinstance(case, Elsewhere):
        return None
    case.runner.take(pyfuncitem.nodeid)
    return True


@dataclass(frozen=True)
class Elsewhere:
    """What pytest gives a test in the place of its Case."""

    runner: Runner


@pytest.fixture(scope="package")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with Machine(tmp_path_factory.mktemp("node")) as machine:
        machine.up("--store", store())
        yield machine


@pytest.fixture(scope="package")
def cluster(machine: Machine) -> Cluster:
    context = ssl.create_default_context(cafile=str(machine.layout.pki / "ca.crt"))
    context.load_cert_chain(machine.layout.pki / "admin.crt", machine.layout.pki / "admin.key")
    api = Api("https://127.0.0.1:6443", context)

    def is_ready() -> bool:
        conditions = api.get(f"/api/v1/nodes/{NODE}")["status"].get("conditions", [])
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

    eventually(is_ready, "the node is ready")
    return Cluster(machine.layout, api)


@pytest.fixture(scope="package")
def images(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Images:
    return push_images(machine.registry(port=5000), tmp_path_factory.mktemp("agnhost"))


@pytest.fixture(scope="package")
def runner(request: pytest.FixtureRequest, cluster: Cluster, images: Images) -> Iterator[Runner]:
    watch = PodWatch(cluster.api)
    watch.start()

    def play(body: Callable[..., None], parameters: dict[str, Any]) -> None:
        case = Case(cluster.api, watch, images, NODE)
        try:
            body(case, **parameters)
        finally:
            case.close()

    items = [
        item
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.path.is_relative_to(HERE) and "case" in item.fixturenames
    ]
    runner = Runner(items, play)
    yield runner
    runner.stop()
    watch.stop()


@pytest.fixture
def case(runner: Runner) -> Elsewhere:
    return Elsewhere(runner)
