"""Kinds of the events group, one file each."""
