"""Custom resources: from the schema in a definition to a kind like any other.

structural.py reads the schema; reading.py prunes, defaults and checks nothing; validation.py checks values with
upstream's texts; rules.py (optional extra) evaluates CEL; kind.py puts a `KindInfo` together, and from there on nobody
can tell a custom resource from a built-in kind.

What must stay true: everything here is pure, and every walk is bounded by the size of the value and of the schema.
"""
