"""flowcontrol.apiserver.k8s.io: who may use how much of the API server."""
