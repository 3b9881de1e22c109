"""The pods of this node: one worker per pod, a pure plan (what to do), a pure status (what to say), and the edges that
act.

What must stay true: `plan`, `states`, `status`, `environment`, `probe decisions` are pure; a worker is told which
pod, never what happened; everything a worker needs after a crash of the agent is in the API or in the runtime's
directory.
"""
