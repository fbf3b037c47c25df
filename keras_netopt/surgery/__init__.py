"""Models that shrink and grow in place: the channel graph and its edits."""

from keras_netopt.surgery.cutting.channel_pruning import prune_channels
from keras_netopt.surgery.edits.journal import replay
from keras_netopt.surgery.edits.preserve import (
    Preservation,
    Snapshot,
    check_preserved,
    snapshot,
)
from keras_netopt.surgery.edits.remove import remove
from keras_netopt.surgery.edits.report import EditReport, Size, WidthChange
from keras_netopt.surgery.graph.channel_graph import ChannelGraph
from keras_netopt.surgery.graph.explain import explain
from keras_netopt.surgery.graph.groups import Group, LayerSet
from keras_netopt.surgery.growing.actions import Action, Deepen, Widen
from keras_netopt.surgery.growing.deepen import deepen
from keras_netopt.surgery.growing.stop_without_improvement import (
    StopWithoutImprovement,
)
from keras_netopt.surgery.growing.trigger_base import TrainingHistory, Trigger
from keras_netopt.surgery.growing.triggers import (
    AtPoints,
    Every,
    FitRisk,
    Plateau,
)
from keras_netopt.surgery.growing.widen import widen
from keras_netopt.surgery.handlers import Handler, Unsupported, register

__all__ = [
    "Action",
    "AtPoints",
    "ChannelGraph",
    "Deepen",
    "EditReport",
    "Every",
    "FitRisk",
    "Group",
    "Handler",
    "LayerSet",
    "StopWithoutImprovement",
    "TrainingHistory",
    "Plateau",
    "Preservation",
    "Size",
    "Snapshot",
    "Trigger",
    "Unsupported",
    "Widen",
    "WidthChange",
    "check_preserved",
    "deepen",
    "explain",
    "prune_channels",
    "register",
    "remove",
    "replay",
    "snapshot",
    "widen",
]
