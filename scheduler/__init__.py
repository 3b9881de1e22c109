"""The scheduler: gives every pod a node.  `choose` decides from a snapshot and touches nothing; `scheduler.py` acts."""
