"""Curriculum: rows of the registry."""

from keras_netopt.registry.method import Method

METHODS: tuple[Method, ...] = (
    Method(
        name="callbacks.Curriculum",
        kind="callback",
        summary="Orders or selects training samples by difficulty.",
        card="curriculum",
        reference="Wu et al. 2020, arXiv 2012.03107; Platanios et al. 2019, "
        "arXiv 1903.09848",
        touches=frozenset({"data"}),
        limits={
            "C3": "No setting of `Curriculum` reproduces plain `fit`: the "
            "callback sets the order of the samples."
        },
    ),
    Method(
        name="callbacks.SelectiveBackprop",
        kind="callback",
        summary="Trains on the samples of each batch with the largest losses.",
        function="curriculum.select_samples",
        differs={
            "losses": "`fit` computes the losses",
            "noise": "generated from `seed`",
            "irreducible_loss": "read from the sample weights",
            "sample_weight": "read from the data",
            "begin": "a function call has no schedule",
            "end": "a function call has no schedule",
            "interrupt": "a function call has no schedule",
            "seed": "the function takes `noise`",
        },
        card="curriculum",
        reference="Jiang et al. 2019, arXiv 1910.00762; Mindermann et al. "
        "2022, arXiv 2206.07137",
        touches=frozenset({"data", "train_step"}),
        retraces="on_event",
        limits={
            "C3": "No setting of `SelectiveBackprop` that selects samples "
            "reproduces plain `fit`."
        },
    ),
    Method(
        name="curriculum.SuperLoss",
        kind="loss",
        summary="Reduces the weight of hard samples; robust to wrong labels.",
        card="curriculum",
        reference="Castells et al. 2020, NeurIPS",
    ),
    Method(
        name="curriculum.select_samples",
        summary="Selects the samples of a batch with the largest losses.",
        card="curriculum",
        reference="Jiang et al. 2019, arXiv 1910.00762",
    ),
    Method(
        name="curriculum.compare_arms",
        summary="Compares curricula with their control over several seeds.",
        card="curriculum",
    ),
    Method(
        name="curriculum.sample_losses",
        summary="Computes the loss of each sample of a dataset.",
        card="curriculum",
    ),
)
