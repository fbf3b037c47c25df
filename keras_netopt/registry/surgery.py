"""Channel pruning and growing: rows of the registry."""

from keras_netopt.registry.method import Method

METHODS: tuple[Method, ...] = (
    Method(
        name="callbacks.ChannelPruning",
        kind="callback",
        summary="Removes channels during `fit`; the model becomes smaller.",
        function="surgery.prune_channels",
        differs={
            "iterative_steps": "the function cuts once",
            "dry_run": "training cannot be undone",
        },
        card="channel_pruning",
        reference="Li et al. 2016, arXiv 1608.08710",
        touches=frozenset({"weights", "shapes", "optimizer"}),
        retraces="on_event",
        limits={"C7": "a new callback object removes channels again"},
    ),
    Method(
        name="callbacks.ComputeTracker",
        kind="callback",
        summary="Counts the multiply-accumulates spent in training.",
        card="growing",
    ),
    Method(
        name="callbacks.Growing",
        kind="callback",
        summary="Widens layers and inserts blocks during `fit`.",
        card="growing",
        reference="Chen et al. 2016, arXiv 1511.05641; Wen et al. 2020, "
        "arXiv 1906.02909",
        touches=frozenset({"weights", "shapes", "graph", "optimizer"}),
        retraces="on_event",
        limits={"C7": "a new callback object grows the model again"},
    ),
    Method(
        name="surgery.prune_channels",
        summary="Removes the least important channels of a model in one step.",
        card="channel_pruning",
        reference="Li et al. 2016, arXiv 1608.08710",
        limits={"C7": "a second call removes more channels"},
    ),
    Method(
        name="surgery.widen",
        summary="Adds units to a layer and preserves the model's outputs.",
        card="growing",
        reference="Chen et al. 2016, arXiv 1511.05641; Yuan et al. 2023, "
        "arXiv 2306.12700; Evci et al. 2022, arXiv 2201.05125",
        limits={"C7": "a second call grows the model again"},
    ),
    Method(
        name="surgery.deepen",
        summary="Inserts blocks after a layer and preserves the outputs.",
        card="growing",
        reference="Chen et al. 2016, arXiv 1511.05641; Wen et al. 2020, "
        "arXiv 1906.02909",
        limits={"C7": "a second call grows the model again"},
    ),
    Method(
        name="surgery.remove",
        summary="Removes units of layers and every weight coupled to them.",
        card="channel_pruning",
        reference="Fang et al. 2023, arXiv 2301.12900",
        limits={
            "C7": "a second call removes the units that then have these indices"
        },
    ),
    Method(
        name="surgery.explain",
        summary="Lists every weight coupled to the units of a layer.",
        card="channel_pruning",
    ),
    Method(
        name="surgery.snapshot",
        summary="Saves a model's outputs before an edit, for comparison.",
        card="growing",
    ),
    Method(
        name="surgery.check_preserved",
        summary="Measures the largest change of a model's outputs by an edit.",
        card="growing",
    ),
    Method(
        name="surgery.replay",
        summary="Repeats saved edits on a new model, to load its weights.",
        card="growing",
    ),
    Method(
        name="surgery.register",
        summary="Registers a custom layer with the channel graph.",
        card="channel_pruning",
    ),
)
