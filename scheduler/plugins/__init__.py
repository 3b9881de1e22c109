"""One file per plugin, under upstream's names.  `FILTERS` and `SCORERS` are the default profile, in its order."""

from __future__ import annotations

from scheduler.framework import FilterPlugin, ScorePlugin
from scheduler.plugins.nodeaffinity import NodeAffinity
from scheduler.plugins.nodename import NodeName
from scheduler.plugins.nodeports import NodePorts
from scheduler.plugins.noderesourcesbalancedallocation import NodeResourcesBalancedAllocation
from scheduler.plugins.noderesourcesfit import NodeResourcesFit
from scheduler.plugins.nodeunschedulable import NodeUnschedulable
from scheduler.plugins.tainttoleration import TaintToleration
from scheduler.plugins.volumebinding import VolumeBinding
from scheduler.plugins.volumerestrictions import VolumeRestrictions
from scheduler.plugins.volumezone import VolumeZone

FILTERS: tuple[FilterPlugin, ...] = (
    NodeUnschedulable(),
    NodeName(),
    TaintToleration(),
    NodeAffinity(),
    NodePorts(),
    NodeResourcesFit(),
    VolumeRestrictions(),
    VolumeBinding(),
    VolumeZone(),
)
SCORERS: tuple[ScorePlugin, ...] = (
    TaintToleration(),
    NodeAffinity(),
    NodeResourcesFit(),
    NodeResourcesBalancedAllocation(),
)
