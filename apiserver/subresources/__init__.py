"""Subresources: one file each.  Only here may code know the kind whose subresource it is."""
