"""Kinds of the discovery.k8s.io group: `tiphys.api.discovery` is the module of discovery documents."""
