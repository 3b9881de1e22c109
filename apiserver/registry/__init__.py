"""Objects of one kind on top of the store: keys, bytes, read-modify-write, deletion (upstream's generic registry).

What must stay true: nothing here knows a kind by name; what a kind does differently is in its `KindInfo` and in the
`Strategy` that `strategies.py` looks up.
"""
