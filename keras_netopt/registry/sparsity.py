"""Pruning: rows of the registry."""

from keras_netopt.registry.method import Method

METHODS: tuple[Method, ...] = (
    Method(
        name="callbacks.Pruning",
        kind="callback",
        summary="Sets weights to zero during `fit`, up to a target sparsity.",
        function="sparsity.prune",
        differs={"frequency": "the function updates the masks once"},
        card="pruning",
        reference="Zhu and Gupta 2017, arXiv 1710.01878",
        touches=frozenset({"weights", "optimizer"}),
    ),
    Method(
        name="callbacks.SparseTraining",
        kind="callback",
        summary="Trains at a constant sparsity: static masks, SET or RigL.",
        card="sparse_training",
        reference="Mocanu et al. 2018, arXiv 1707.04780",
        touches=frozenset({"weights", "optimizer"}),
    ),
    Method(
        name="callbacks.LotteryTicket",
        kind="callback",
        summary="Finds a lottery ticket in one `fit`: train, prune, rewind.",
        card="lottery_ticket",
        reference="Frankle and Carbin 2019, arXiv 1803.03635",
        touches=frozenset({"weights", "optimizer"}),
        limits={
            "C3": "every round prunes and rewinds the model",
            "C17": "a rewind sets frozen layers back as well",
        },
    ),
    Method(
        name="callbacks.BestCheckpoint",
        kind="callback",
        summary="Saves the best model that has reached the target sparsity.",
        card="pruning",
    ),
    Method(
        name="sparsity.prune",
        summary="Sets weights to zero in one step, without `fit`.",
        card="pruning",
        reference="Han et al. 2015, arXiv 1506.02626",
    ),
    Method(
        name="callbacks.ChannelSparsity",
        kind="callback",
        summary="Trains whole channels to zero during `fit`, removes them.",
        card="compact",
        reference="Liu et al. 2017, arXiv 1708.06519; Wen et al. 2016, "
        "arXiv 1608.03665",
        touches=frozenset({"weights", "shapes", "optimizer"}),
        retraces="on_event",
        limits={"C7": "a new callback object removes channels again"},
    ),
    Method(
        name="sparsity.compact",
        summary="Removes the units that zeros have made dead, exactly.",
        card="compact",
        reference="Han et al. 2015, arXiv 1506.02626",
    ),
    Method(
        name="sparsity.shuffle_masks",
        summary="Shuffles the masks in each layer: the control of a score.",
        card="initialization_masks",
        limits={"C7": "a second call shuffles the masks again"},
        reference="Frankle et al. 2020, arXiv 2009.08576",
    ),
    Method(
        name="sparsity.enable_lora",
        summary="Enables LoRA on a pruned model; its zeros stay zero.",
        card="sparse_lora",
        reference="Hu et al. 2021, arXiv 2106.09685",
    ),
    Method(
        name="sparsity.merge_lora",
        summary="Merges the LoRA pairs into the kernels, zeros kept.",
        card="sparse_lora",
    ),
    Method(
        name="sparsity.select",
        summary="Lists the weights to prune, and why others are skipped.",
        card="pruning",
    ),
    Method(
        name="sparsity.report",
        summary="Reports the sparsity of a model, layer by layer.",
        card="pruning",
    ),
    Method(
        name="sparsity.apply_masks",
        summary="Applies the masks to the weights again.",
        card="pruning",
    ),
    Method(
        name="sparsity.remove_masks",
        summary="Removes the masks, so that pruned weights train again.",
        card="pruning",
    ),
    Method(
        name="sparsity.load_masks",
        summary="Restores the masks of a saved model in a new one.",
        card="pruning",
    ),
)
