"""A node comes with the status its agent found: creating it keeps that."""

keeps_status_on_create = True

selectable_fields = {
    "spec.unschedulable": lambda node: "true" if node.get("spec", {}).get("unschedulable") else "false",
}
