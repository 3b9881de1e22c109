"""Tiphys: a Kubernetes that one person can read.  This package holds what every program shares, and the command."""

__version__ = "0.1.0"
