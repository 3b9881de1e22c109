"""The volumes of pods: directories on the node that are bind-mounted into containers.

What must stay true: setting up is idempotent and is also how live updates happen; taking down never follows a link
and never deletes through a mount; contents of ConfigMaps and the like appear all at once (atomic.py), with nosuid
and nodev.
"""
