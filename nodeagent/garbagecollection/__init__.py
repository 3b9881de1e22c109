"""What nobody needs any more on the node's disk: images that are not used, containers that have ended."""
