"""Admission through a real server, with real webhooks where there are any."""
