"""What pods, containers and the node use: read from the kernel when somebody asks, never on a timer of its own."""
