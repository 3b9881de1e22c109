"""Priority and fairness: classification, queues, and a flood against a running server."""
