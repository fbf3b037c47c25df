"""Fine-tuning: rows of the registry."""

from keras_netopt.registry.method import Method

METHODS: tuple[Method, ...] = (
    Method(
        name="layers.WeightNormalization",
        kind="layer",
        summary="Trains kernels as a length and a direction per unit.",
        card="fine_tuning",
        reference="Salimans and Kingma 2016, arXiv 1602.07868",
    ),
    Method(
        name="fine_tuning.add_weight_normalization",
        summary="Wraps the layers of a model, with the same outputs.",
        card="fine_tuning",
        reference="Salimans and Kingma 2016, arXiv 1602.07868",
    ),
    Method(
        name="fine_tuning.remove_weight_normalization",
        summary="Folds weight normalization into plain kernels.",
        card="fine_tuning",
        reference="Salimans and Kingma 2016, arXiv 1602.07868",
    ),
    Method(
        name="fine_tuning.initialize_weight_normalization",
        summary="Sets g and bias from a batch: mean 0, deviation 1.",
        card="fine_tuning",
        reference="Salimans and Kingma 2016, arXiv 1602.07868",
    ),
    Method(
        name="fine_tuning.warm_start",
        summary="Copies the weights of a trained model into a new one.",
        card="fine_tuning",
        reference="Ash and Adams 2020, arXiv 1910.08475",
    ),
    Method(
        name="callbacks.GradualUnfreezing",
        kind="callback",
        summary="Opens or freezes one group of layers after another.",
        card="unfreezing",
        reference="Howard and Ruder 2018, arXiv 1801.06146; Felbo et al. "
        "2017, arXiv 1708.00524; Brock et al. 2017, arXiv 1706.04983",
        touches=frozenset({"optimizer"}),
        retraces="on_event",
        limits={"C3": "every timetable freezes layers for some steps"},
    ),
    Method(
        name="callbacks.LayerwiseLearningRates",
        kind="callback",
        summary="Multiplies the learning rate of chosen layers.",
        card="unfreezing",
        reference="Howard and Ruder 2018, arXiv 1801.06146; Bao et al. 2021, "
        "arXiv 2106.08254",
        touches=frozenset({"optimizer"}),
    ),
)
