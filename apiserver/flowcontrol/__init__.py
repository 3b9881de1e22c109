"""Priority and fairness: every request belongs to a flow of a priority level, and each level has its share.

FlowSchemas say which level a request goes to, PriorityLevelConfigurations how many of a level's requests run at once
and how many may wait.  A level that is full makes its own requests wait or come back later, nobody else's.
"""
