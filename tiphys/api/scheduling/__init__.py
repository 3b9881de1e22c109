"""Kinds of the scheduling group, one file each."""
