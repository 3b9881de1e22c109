"""The pod network of one node: a bridge, a veth pair per pod, addresses kept in files, and masquerading.

Services, DNS and policies live elsewhere; this package only makes a pod's address answer.
"""
