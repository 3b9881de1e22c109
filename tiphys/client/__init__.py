"""The client runtime: everything a program needs to live off the API server, and nothing about any one program.

From the bottom: kubeconfig (where and who), rest (one request), watch (a stream of events), informer (an indexed
cache), workqueue (keys to look at again), controller (cache + queue + reconcile), leaderelection, events, serving.

What must stay true: nothing here imports a component; nothing here polls; clock and randomness are passed in.
"""
