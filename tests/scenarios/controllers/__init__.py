"""The control plane in one process on a virtual clock: what holds when watches lag, writes fail and managers die."""
