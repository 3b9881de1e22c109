"""The stores and the watch cache in front of them.  Nothing here knows a kind by name."""
