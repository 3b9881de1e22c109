"""The conformance rows that need a real node: pods, volumes, probes, hooks, security contexts.

A test takes a `case` (its namespace, its pods) and plays on its own; all of them run at the same time, as pytest comes
to the first of them (`concurrency.py`), because most of a pod's life is waiting.
"""
