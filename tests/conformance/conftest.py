"""One cluster for all rows, a namespace for each test, and the report at the end of the run."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator

import pytest

from tests.conformance.api import Api, eventually
from tests.conformance.cluster import Cluster, running_cluster, store
from tests.conformance.rows import MISSING, read_rows, report

_ROWS = read_rows()
_outcomes: dict[int, list[str]] = defaultdict(list)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "row(number, testname): the conformance row that the test stands for")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        mark = item.get_closest_marker("row")
        if mark is None:
            continue
        number, testname = mark.args
        assert number in _ROWS and _ROWS[number].testname == testname, f"{item.nodeid}: no row {number} {testname!r}"
        if number in MISSING:
            item.add_marker(pytest.mark.xfail(reason=MISSING[number], strict=True))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    found = yield
    mark = item.get_closest_marker("row")
    if mark is not None and (found.when == "call" or found.outcome == "failed"):
        _outcomes[mark.args[0]].append(found.outcome)
    return found


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not _outcomes:
        return
    terminalreporter.section(f"conformance on {store()}")
    for line in report(_ROWS, _outcomes, MISSING):
        terminalreporter.line(line)


@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running_cluster(tmp_path_factory.mktemp("conformance")) as running:
        yield running


@pytest.fixture
def api(cluster: Cluster) -> Api:
    return cluster.api


@pytest.fixture
def unique() -> str:
    """A word that no other test uses: a suffix of cluster-scoped names, the value of labels."""
    return uuid.uuid4().hex[:8]


@pytest.fixture
def make_namespace(api: Api) -> Iterator[Callable[[], str]]:
    """Makes namespaces that are ready for pods; they are deleted after the test, and not waited for."""
    made: list[str] = []

    def make() -> str:
        name = f"conformance-{uuid.uuid4().hex[:8]}"
        api.create("/api/v1/namespaces", {"metadata": {"name": name}})
        made.append(name)
        account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
        eventually(lambda: api.find(account) is not None, f"{name} has its default ServiceAccount")
        return name

    yield make
    for name in made:
        api.call("DELETE", f"/api/v1/namespaces/{name}")


@pytest.fixture
def namespace(make_namespace: Callable[[], str]) -> str:
    return make_namespace()
