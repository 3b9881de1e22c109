"""Several nodes: on one machine, joined from others, lost and back."""
