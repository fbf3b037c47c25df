"""In-place edits of models: channel graph, remove, widen, deepen."""

from keras_netopt.surgery import handlers  # noqa: F401  Registers handlers.
from keras_netopt.surgery.channels.channel_graph import ChannelGraph
from keras_netopt.surgery.channels.coupling_report import CouplingReport
from keras_netopt.surgery.channels.explain import explain
from keras_netopt.surgery.channels.layer_groups import LayerGroup
from keras_netopt.surgery.coupled_axis import UnsupportedLayer
from keras_netopt.surgery.cutting.prune_channels import prune_channels
from keras_netopt.surgery.edits.edit_history import replay
from keras_netopt.surgery.edits.edit_report import (
    EditReport,
    ModelSize,
    WidthChange,
)
from keras_netopt.surgery.edits.output_difference import (
    OutputDifference,
    Snapshot,
    check_preserved,
    snapshot,
)
from keras_netopt.surgery.edits.remove import remove
from keras_netopt.surgery.growing.actions import Action, Deepen, Widen
from keras_netopt.surgery.growing.deepen import deepen
from keras_netopt.surgery.growing.evenly_spaced import EvenlySpaced
from keras_netopt.surgery.growing.stop_without_improvement import (
    StopWithoutImprovement,
)
from keras_netopt.surgery.growing.trigger import TrainingHistory, Trigger
from keras_netopt.surgery.growing.triggers import (
    AtPoints,
    Every,
    OverfittingRisk,
    Plateau,
)
from keras_netopt.surgery.growing.widen import widen
from keras_netopt.surgery.handler_registry import Handler, register

__all__ = [
    "Action",
    "AtPoints",
    "ChannelGraph",
    "Deepen",
    "EditReport",
    "EvenlySpaced",
    "Every",
    "OverfittingRisk",
    "CouplingReport",
    "Handler",
    "LayerGroup",
    "StopWithoutImprovement",
    "TrainingHistory",
    "Plateau",
    "OutputDifference",
    "ModelSize",
    "Snapshot",
    "Trigger",
    "UnsupportedLayer",
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
