"""The API server: the front door, and the only program that touches the store."""
