"""Images on this node: pull from registries, keep content by digest, unpack each layer once, collect what is unused.

`store.ImageStore` is the door; other rooms need only it, `image.Image`, `credentials.Credential` and `errors`.  What
must stay true: everything that comes from a registry is hostile until its digest says it is what was asked for, and
even then it may do nothing outside its own layer directory; what is on disk under a final name is complete and
verified, whenever the agent dies; nothing here knows of pods or containers (who is in use is passed in)."""
