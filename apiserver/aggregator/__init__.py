"""Aggregated APIs: a group and version that another server answers for, behind this one's address and rules.

apiservices.py    an APIService object as this server reads it, and the order groups and versions are listed in (pure)
registration.py   the APIService objects of what this server serves itself, kept as they should be
availability.py   the Available condition: what can be said before anybody is asked (pure)
documents.py      discovery and OpenAPI of an extension server, read with distrust (pure)
frontproxy.py     how extension servers learn who the user is, and how they know that it was us who said so
backends.py       asking an extension server: its discovery and its OpenAPI
proxy.py          a client's request passed on
controller.py     follows APIServices, Services and EndpointSlices, and keeps all of this current

What must stay true: who asks and whether they may is decided here, before anything is passed on; the client's own
credentials never leave; no redirect is followed; an extension server that fails costs its own groups only.
"""
