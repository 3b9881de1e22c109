"""The kinds and the walks over their schemas.  No I/O happens here, and nothing here knows a server or a client."""
