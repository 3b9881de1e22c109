"""The program that stands in for the images of upstream's conformance suite: C sources, compiled once per session."""
