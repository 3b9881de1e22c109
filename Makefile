# Tiphys.  `make up` starts a cluster with the example; `make test` runs the tests; `make help` lists the rest.
SHELL := /bin/bash
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
VENV := .venv
BIN := $(VENV)/bin
DATA_DIR ?= /var/lib/tiphys
CODE := tiphys apiserver scheduler controllers nodeagent tests

# What runs containers (crun conmon nftables iproute2), what the example and the tests need on top.
PACKAGES := python3-venv crun conmon nftables iproute2 busybox-static docker-registry curl
TEST_PACKAGES := etcd-server skopeo apache2-utils procps gcc libc6-dev libssl-dev
BENCH_PACKAGES := containerd docker.io podman catatonit

# The fuzzers of one parser share a minute; every second parser in each of two processes, one per core.
CALLS := tests/apiserver/hostile/test_calls.py
FUZZ := $(SUDO) env TIPHYS_FUZZ_SECONDS=60
FUZZERS := $(BIN)/pytest --timeout 400 tests/fuzz --ignore tests/fuzz/test_width.py

.PHONY: help packages setup setup-test up down check test fuzz suites bench clean

help:
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

define install
	@missing=$$(for p in $(1); do dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'install ok' || echo $$p; done); \
	if [ -n "$$missing" ]; then echo "installing $$missing"; $(SUDO) apt-get update -q && \
	DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -q --no-install-recommends $$missing; fi
endef

$(VENV)/.runtime: pyproject.toml
	@test -x $(BIN)/pip || python3 -m venv $(VENV)
	$(BIN)/pip install -q -e '.[cel]'
	@touch $@

$(VENV)/.dev: pyproject.toml
	@test -x $(BIN)/pip || python3 -m venv $(VENV)
	$(BIN)/pip install -q -e '.[dev]'
	@touch $@ $(VENV)/.runtime

packages:
	$(call install,$(PACKAGES))

setup: packages $(VENV)/.runtime ## install what running a cluster needs

setup-test: packages ## install what the tests need as well
	$(call install,$(TEST_PACKAGES))
	@$(MAKE) --no-print-directory $(VENV)/.dev
	@$(BIN)/python -m tests.clients.install_helm

up: setup ## start a cluster, deploy the example, show it answering
	$(SUDO) manifests/example/up.sh $(DATA_DIR)

down: ## stop the cluster and the example's registry
	$(SUDO) manifests/example/down.sh $(DATA_DIR)

check: setup-test ## format, lint, types, layers, house rules
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest tests/house

test: setup-test ## all tests, with real registries, stores, containers and kubectl
	$(SUDO) $(BIN)/pytest --ignore tests/fuzz --ignore $(CALLS)
	$(SUDO) env TIPHYS_CONFORMANCE_STORE=etcd $(BIN)/pytest tests/conformance -m "not slow"
	$(SUDO) $(BIN)/pytest tests/fuzz/test_width.py
	@$(FUZZ) TIPHYS_FUZZ_PART=1/2 $(FUZZERS) $(CALLS)::test_every_operation_with_bodies_of_our_own & first=$$!; \
	$(FUZZ) TIPHYS_FUZZ_PART=2/2 $(FUZZERS) $(CALLS)::test_a_sample_of_the_operations_as_schemathesis_makes_them; \
	second=$$?; wait $$first && exit $$second

fuzz: setup-test ## five minutes of every parser's fuzzers, from a seed that it prints
	$(SUDO) env TIPHYS_FUZZ_SECONDS=300 TIPHYS_FUZZ_SEED=$$RANDOM $(BIN)/pytest --timeout 1200 tests/fuzz $(CALLS)

suites: setup-test ## the test suites of kr8s, kopf and Helm's life cycle against a cluster with simulated nodes
	$(BIN)/python -m tests.clients.suites

bench: setup-test ## the figures of docs/operations.md
	$(call install,$(BENCH_PACKAGES))
	$(SUDO) $(BIN)/python -m tests.benchmarks

clean: ## remove what make and the tests made in this tree
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +
