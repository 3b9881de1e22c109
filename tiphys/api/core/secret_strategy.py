"""What field selectors may ask of a secret."""

selectable_fields = {"type": lambda secret: str(secret.get("type") or "")}
