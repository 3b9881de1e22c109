"""The kubelet's HTTPS API on port 10250: logs, the pods of this node, health, metrics.

What must stay true: every route needs a client certificate signed by the cluster's CA and a caller that is allowed
(the API server or system:masters); no route changes anything on the node; log files are opened without following
links.
"""
