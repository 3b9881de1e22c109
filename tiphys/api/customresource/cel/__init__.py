"""CEL for validation rules, on top of the optional extra cel-expr-python.

engine.py is the only module that touches the library; functions.py has Kubernetes' own functions; types.py turns a
schema into CEL types and values; cost.py bounds what a rule may cost.  Without the extra `engine.available()` is False
and everything else still imports.
"""
