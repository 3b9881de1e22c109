"""A machine with a running cluster and a registry on port 5000, shared by the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.machine import Machine
from tests.nodeagent.registry import Registry


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with Machine(tmp_path_factory.mktemp("machine")) as machine:
        machine.up()
        yield machine


@pytest.fixture(scope="module")
def registry(machine: Machine) -> Registry:
    return machine.registry(port=5000)
