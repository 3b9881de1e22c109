"""Running containers: the container interface, and its implementation with conmon and crun.

`interface.py` is what the rest of the node agent knows; everything else here is behind it.  Nothing in this package
knows Kubernetes objects, the API server or images: it takes layer directories and a ContainerSpec.

Read in this order: interface (the contract), spec (a pure function), records (what is on disk), conmon (the protocol),
engine (the verbs), monitor (how an exit is learned), sandbox (namespaces without a pause container).
"""
