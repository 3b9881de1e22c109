"""What every request passes before its verb: one small file per filter, in the order of `apiserver/server.py`."""
