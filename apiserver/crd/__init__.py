"""CustomResourceDefinitions: kinds that come and go while the server runs.

controller.py follows the definitions and serves what they declare; names.py decides who gets a name; status.py is what
the server writes into a definition; cleanup.py removes the objects of a kind that goes; family.py knows the versions of
one kind and the way between them; conversion.py asks a webhook for it; view.py shows the watch cache in one version,
webhookview.py where a webhook has to be asked.

What must stay true: a custom resource is served by the verbs every kind is served by.
"""
