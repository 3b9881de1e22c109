"""The controllers: one file each, every one a loop from what the specs say to what is.

A controller reads caches, calls pure functions that return a plan, and acts on it through the API server.  They share
nothing but the client runtime (tiphys.client) and know nothing of one another; manager.py runs them behind one leader
election.  What does not belong here: deciding where pods run (scheduler) and running them (nodeagent).
"""
