"""The node agent: what runs on every node.  It makes the containers of the pods bound to its node real, and says so in
their status.  It talks to the API server only (never to another component), and containers outlive it: everything it
knows is either in the API or on the node's disk.
"""
