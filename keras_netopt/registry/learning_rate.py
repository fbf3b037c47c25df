"""Learning rates and early stopping: rows of the registry."""

from keras_netopt.registry.method import Method

METHODS: tuple[Method, ...] = (
    Method(
        name="callbacks.LearningRateFinder",
        kind="callback",
        summary="Suggests a learning rate by a learning rate range test.",
        card="learning_rate",
        reference="Smith 2015, arXiv 1506.01186",
        limits={
            "C3": "it restores the initial state, so its `fit` trains nothing"
        },
    ),
    Method(
        name="callbacks.PrecheltStopping",
        kind="callback",
        summary="Stops `fit` by generalization loss (Prechelt's rules).",
        card="early_stopping",
        reference="Prechelt 1998, doi 10.1007/3-540-49430-8_3",
    ),
    Method(
        name="learning_rate.OneCycle",
        kind="schedule",
        summary="Raises the learning rate once and lowers it to almost zero.",
        card="learning_rate",
        reference="Smith and Topin 2017, arXiv 1708.07120",
    ),
    Method(
        name="learning_rate.Triangular",
        kind="schedule",
        summary="Cycles linearly between two learning rates.",
        card="learning_rate",
        reference="Smith 2015, arXiv 1506.01186",
    ),
    Method(
        name="learning_rate.Warmup",
        kind="schedule",
        summary="Adds a linear warm-up to any schedule or learning rate.",
        card="learning_rate",
        reference="Goyal et al. 2017, arXiv 1706.02677",
    ),
    Method(
        name="learning_rate.WarmupStableDecay",
        kind="schedule",
        summary="Warm-up, constant learning rate, then decay at the end.",
        card="learning_rate",
        reference="Hu et al. 2024, arXiv 2404.06395",
    ),
    Method(
        name="learning_rate.InverseSquareRoot",
        kind="schedule",
        summary="Warm-up, then decay with the inverse square root of steps.",
        card="learning_rate",
        reference="Vaswani et al. 2017, arXiv 1706.03762",
    ),
)
