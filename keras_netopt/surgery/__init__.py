"""Models that shrink and grow in place: the channel graph and its edits."""

from keras_netopt.surgery.actions import Action, Deepen, Widen
from keras_netopt.surgery.channel_pruning import prune_channels
from keras_netopt.surgery.deepen import deepen
from keras_netopt.surgery.explain import explain
from keras_netopt.surgery.graph import ChannelGraph
from keras_netopt.surgery.groups import Group, LayerSet
from keras_netopt.surgery.handlers import Handler, Unsupported, register
from keras_netopt.surgery.journal import replay
from keras_netopt.surgery.preserve import (
    Preservation,
    Snapshot,
    check_preserved,
    snapshot,
)
from keras_netopt.surgery.remove import remove
from keras_netopt.surgery.report import EditReport, Size, WidthChange
from keras_netopt.surgery.stop import NoGain
from keras_netopt.surgery.trigger_base import Past, Trigger
from keras_netopt.surgery.triggers import AtPoints, Every, FitRisk, Plateau
from keras_netopt.surgery.widen import widen

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
    "NoGain",
    "Past",
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
