"""NetworkPolicy on this node: who may talk to its pods, and to whom they may talk.

`selection` finds out which pods a policy is about and whom it names, `plan` makes chains and sets of that,
`transaction` the text for the kernel; `keeper` follows the informers and stands between a pod's address and its first
container.  Not here: Services (nodeagent/services) and the pods' own links (nodeagent/network).
"""
