"""Channel pruning and growing: rows of the registry."""

from keras_netopt.registry.method import Method

METHODS: tuple[Method, ...] = (
    Method(
        name="callbacks.ChannelPruning",
        kind="callback",
        summary="Cuts whole channels inside `fit`: smaller and faster.",
        function="surgery.prune_channels",
        card="channel_pruning",
        reference="Li et al. 2016, arXiv 1608.08710",
        touches=frozenset({"weights", "shapes", "optimizer"}),
        retraces="on_event",
        limits={"C7": "a new object changes the model once more"},
        data_args=("data",),
    ),
    Method(
        name="callbacks.ComputeTracker",
        kind="callback",
        summary="Counts the MACs that a training has spent.",
        card="growing",
    ),
    Method(
        name="callbacks.Growing",
        kind="callback",
        summary="Widens and deepens a network inside `fit`.",
        function="surgery.widen",
        card="growing",
        reference="Chen et al. 2016, arXiv 1511.05641; Wen et al. 2020, "
        "arXiv 1906.02909",
        touches=frozenset({"weights", "shapes", "graph", "optimizer"}),
        retraces="on_event",
        limits={"C7": "a new object changes the model once more"},
        data_args=("data",),
    ),
    Method(
        name="surgery.prune_channels",
        kind="function",
        summary="Cuts the least important channels of a model at once.",
        card="channel_pruning",
        reference="Li et al. 2016, arXiv 1608.08710",
        touches=frozenset({"weights", "shapes", "optimizer"}),
        retraces="on_event",
        limits={"C7": "a second call cuts again"},
        data_args=("data",),
    ),
    Method(
        name="surgery.widen",
        kind="function",
        summary="Gives a layer more units, outputs preserved, in place.",
        card="growing",
        reference="Chen et al. 2016, arXiv 1511.05641; Yuan et al. 2023, "
        "arXiv 2306.12700; Evci et al. 2022, arXiv 2201.05125",
        touches=frozenset({"weights", "shapes", "optimizer"}),
        retraces="on_event",
        data_args=("data",),
        limits={"C7": "a second call grows again"},
    ),
    Method(
        name="surgery.deepen",
        kind="function",
        summary="Inserts blocks behind a layer, outputs preserved.",
        card="growing",
        reference="Chen et al. 2016, arXiv 1511.05641; Wen et al. 2020, "
        "arXiv 1906.02909",
        touches=frozenset({"weights", "shapes", "graph", "optimizer"}),
        retraces="on_event",
        limits={"C7": "a second call grows again"},
    ),
    Method(
        name="surgery.remove",
        kind="function",
        summary="Cuts units of layers and all that hangs on them.",
        card="channel_pruning",
        reference="Fang et al. 2023, arXiv 2301.12900",
        touches=frozenset({"weights", "shapes", "optimizer"}),
        retraces="on_event",
        limits={
            "C7": "a second call cuts the units that now have these numbers"
        },
    ),
    Method(
        name="surgery.explain",
        kind="function",
        summary="Lists every weight that hangs on a layer's units.",
        card="channel_pruning",
    ),
    Method(
        name="surgery.snapshot",
        kind="function",
        summary="Keeps what a model answers before an edit.",
        card="growing",
        data_args=("data",),
    ),
    Method(
        name="surgery.check_preserved",
        kind="function",
        summary="Measures how far an edit has moved a model's outputs.",
        card="growing",
        data_args=("data",),
    ),
    Method(
        name="surgery.replay",
        kind="function",
        summary="Redoes edits on a fresh model, to load its weights.",
        card="growing",
        touches=frozenset({"weights", "shapes", "graph", "optimizer"}),
        retraces="on_event",
    ),
    Method(
        name="surgery.register",
        kind="function",
        summary="Teaches the channel graph a layer of your own.",
        card="channel_pruning",
    ),
)
