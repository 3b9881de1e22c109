"""Test suites that others ship with their clients, run unmodified against Tiphys: `python -m tests.clients.suites`.

Each suite has a floor, the number of tests that must pass on simulated nodes, and says why the others cannot.
"""
