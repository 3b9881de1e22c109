"""Connections that go through this server to somewhere else: agents, pods, services.

addresses.py   where a connection may go, decided on the address it is made to
locations.py   which address a pod, service or node name means (pure)
headers.py     what is passed on and what never is (pure)
dial.py        the upgrade request to the other side, and its answer
tunnel.py      bytes both ways after an upgrade
upgraded.py    the client's side of an upgraded connection
forward.py     one HTTP request and its answer, streamed
messages.py    a stream of ours as WebSocket messages (logs)
rewrite.py     links in answers that must lead back through the proxy (pure)

What must stay true: this server looks at no byte of an upgraded connection; nothing of the client is passed on before
the other side has agreed to the upgrade; credentials of the client never leave; no redirect is followed.
"""
