"""The `tiphys` command: one file per verb; up.py is the only place that starts all components."""
