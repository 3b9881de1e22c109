"""Names of the cluster, answered on every node from the agent's own informers; everything else is asked of others.

Start at answer.py: the pure function from a question and what the cluster looks like to records.
What does not belong here: the address pods find in their resolv.conf (nodeagent/pods/netfiles.py writes it).
"""
