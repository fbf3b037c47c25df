"""Pruning: rows of the registry."""

from keras_netopt.registry.method import Method

METHODS: tuple[Method, ...] = (
    Method(
        name="callbacks.Pruning",
        kind="callback",
        summary="Prunes a model inside `fit`: exact zeros, no wrapper.",
        function="sparsity.prune",
        card="pruning",
        reference="Zhu and Gupta 2017, arXiv 1710.01878",
        touches=frozenset({"weights", "optimizer"}),
        data_args=("data",),
    ),
    Method(
        name="callbacks.BestCheckpoint",
        kind="callback",
        summary="Saves the best epoch, never one denser than the target.",
        card="pruning",
    ),
    Method(
        name="sparsity.prune",
        kind="function",
        summary="Prunes a model in one shot, without `fit`.",
        card="pruning",
        reference="Han et al. 2015, arXiv 1506.02626",
        touches=frozenset({"weights"}),
        data_args=("data",),
    ),
    Method(
        name="sparsity.select",
        kind="function",
        summary="Lists what would be pruned, and why the rest would not.",
        card="pruning",
    ),
    Method(
        name="sparsity.report",
        kind="function",
        summary="Tells how sparse a model is, layer by layer.",
        card="pruning",
    ),
    Method(
        name="sparsity.finalize",
        kind="function",
        summary="Puts the zeros back that another callback has undone.",
        card="pruning",
        touches=frozenset({"weights"}),
    ),
    Method(
        name="sparsity.strip",
        kind="function",
        summary="Lets go of the masks, so that zeros may train again.",
        card="pruning",
        touches=frozenset({"optimizer"}),
    ),
    Method(
        name="sparsity.load_masks",
        kind="function",
        summary="Takes the masks of a saved model over into a new one.",
        card="pruning",
        touches=frozenset({"weights", "optimizer"}),
    ),
)
