"""Services on this node: what kube-proxy does elsewhere, as maps in one nftables table of ours.

`endpoints` chooses, `elements` plans, `ledger` compares, `ruleset` is the text of the rules, `nftables` applies it,
`monitor` sees somebody else touch it, `conntrack` ends stale UDP flows, `healthcheck` answers load balancers, and
`proxy` puts them together.  Not here: addresses of Services (the API server), EndpointSlices (the controllers).
"""
