"""The suites and their floors.  A floor only rises."""

from __future__ import annotations

from tests.clients.suites.suite import Suite

NO_CONTAINERS = "needs a container; simulated nodes run none"

KR8S = Suite(
    name="kr8s",
    version="0.20.15",
    requirements=(
        "pytest==9.2.0",
        "pytest-asyncio==1.5.0",
        "pytest-timeout==2.4.0",
        "trio==0.35.0",
        "pykube-ng==23.6.0",
        "kubernetes==36.0.3",  # 37 has no module kubernetes.client.models.v1_pod, which one test names
        "kubernetes-asyncio==36.1.0",
        "kubernetes-validate==1.37.0",
        "lightkube==1.0.1",
        "typer==0.29.2",
        "rich==15.0.0",
    ),
    alone=("kubectl-ng==0.20.8",),  # the example program; it asks for an older kr8s
    tests=("-p", "pytest_kind", "-o", "asyncio_mode=auto", "--keep-cluster", "kr8s", "examples"),
    floor=294,  # of 312: 15 need containers, 2 are expected failures, 1 is for a person to try
    reasons={
        r"test_pod_(logs|exec)|test_service_exec|test_adoption|port_forward|tests.test_exec": NO_CONTAINERS,
    },
    races={r"test_api_timeout$": "wants that nobody answers within 10 microseconds"},
)

KOPF = Suite(
    name="kopf",
    version="1.45.2",
    requirements=(
        "pytest==9.2.0",
        "pytest-asyncio==1.5.0",
        "pytest-timeout==2.4.0",
        "pytest-mock==3.17.0",
        "pytest-aiohttp==1.1.1",
        "freezegun==1.5.5",
        "kmock==0.8",
        "looptime==0.9",
        "pyngrok==9.1.0",
        "certbuilder==0.14.2",
        "certvalidator==0.11.1",
        "oscrypto==1.3.0",
        "aiohttp==3.14.5",
        "kubernetes==37.0.2",
        "pykube-ng==23.6.0",
    ),
    tests=("--only-e2e", "tests/e2e"),
    floor=13,  # of 14
    reasons={r"17-admission": "its webhook certificate needs oscrypto, which does not know Debian's libcrypto"},
)

SUITES = {suite.name: suite for suite in (KR8S, KOPF)}

HELM_FLOOR = 25  # of 26
HELM_REASONS = {r"^test the release$": NO_CONTAINERS}
