"""Keeping the node alive when something runs out: thresholds, conditions, and which pod goes first."""
