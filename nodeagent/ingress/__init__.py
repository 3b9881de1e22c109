"""The built-in Ingress controller: class `tiphys`, one listener per node, a process of its own beside the agent.

`keeper` (in the agent) runs the process while an Ingress of ours exists; `program` puts it together.  `plan` turns
objects into the table of `routing`; `paths` and `messages` decide what a request is before anybody routes it;
`connection` serves one client, `exchange` takes a request to an endpoint and its answer back, `backends` keeps the
connections; `certificates` chooses by SNI; `status` publishes addresses.  Not here: the addresses of Services
(nodeagent/services); requests go straight to endpoints.
"""
