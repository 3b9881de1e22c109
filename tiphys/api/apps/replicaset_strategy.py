"""What field selectors may ask of a replica set."""

selectable_fields = {"status.replicas": lambda replica_set: str(replica_set.get("status", {}).get("replicas") or 0)}
