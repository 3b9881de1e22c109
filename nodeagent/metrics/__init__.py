"""The agent's metrics, under the kubelet's names, so that its dashboards and alerts work unchanged."""
