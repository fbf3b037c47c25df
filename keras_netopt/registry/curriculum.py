"""Curriculum: rows of the registry."""

from keras_netopt.registry.method import Method

METHODS: tuple[Method, ...] = (
    Method(
        name="callbacks.Curriculum",
        kind="callback",
        summary="Decides by difficulty what the model sees next.",
        function="curriculum.sample_losses",
        card="curriculum",
        reference="Wu et al. 2020, arXiv 2012.03107; Platanios et al. 2019, "
        "arXiv 1903.09848",
        touches=frozenset({"data"}),
        limits={
            "C3": "it orders the samples itself, so no setting repeats the "
            "order that `fit` gives plain arrays"
        },
        data_args=("x", "y", "sample_weight", "difficulty", "labels"),
    ),
    Method(
        name="callbacks.SelectiveBackprop",
        kind="callback",
        summary="Trains on the samples of a batch that are worth it.",
        function="curriculum.select_samples",
        card="curriculum",
        reference="Jiang et al. 2019, arXiv 1910.00762; Mindermann et al. "
        "2022, arXiv 2206.07137",
        touches=frozenset({"data", "train_step"}),
        retraces="on_event",
        limits={"C3": "whatever it chooses changes what is learnt"},
    ),
    Method(
        name="curriculum.SuperLoss",
        kind="loss",
        summary="Turns down what is too hard: robust to wrong labels.",
        card="curriculum",
        reference="Castells et al. 2020, NeurIPS",
        touches=frozenset({"loss"}),
    ),
    Method(
        name="curriculum.select_samples",
        kind="function",
        summary="Chooses the samples of a batch that are worth it.",
        card="curriculum",
        reference="Jiang et al. 2019, arXiv 1910.00762",
    ),
    Method(
        name="curriculum.compare_arms",
        kind="function",
        summary="Compares curricula with their control, seed by seed.",
        card="curriculum",
        data_args=("x", "y", "validation_data", "difficulty"),
    ),
    Method(
        name="curriculum.sample_losses",
        kind="function",
        summary="Computes the loss of each sample of a data set.",
        card="curriculum",
        data_args=("x", "y"),
    ),
)
