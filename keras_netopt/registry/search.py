"""Hyperparameter search: rows of the registry."""

from keras_netopt.registry.method import Method

METHODS: tuple[Method, ...] = (
    Method(
        name="search.Tuner",
        kind="tuner",
        summary="Tunes on k folds, in processes, within limits.",
        card="search_tuner",
    ),
    Method(
        name="search.ASHA",
        kind="stopper",
        summary="Stops trials that are not among the best of a rung.",
        card="search_tuner",
        reference="Li et al. 2020, arXiv 1810.05934",
    ),
    Method(
        name="search.Median",
        kind="stopper",
        summary="Stops trials worse than half of the finished ones.",
        card="search_tuner",
        reference="Golovin et al. 2017, KDD",
    ),
    Method(
        name="search.Patience",
        kind="stopper",
        summary="Stops trials that become no better.",
        card="search_tuner",
    ),
    Method(
        name="search.local_processes",
        kind="function",
        summary="Runs each trial in a fresh process.",
        card="search_tuner",
    ),
    Method(
        name="search.RayExecutor",
        kind="executor",
        summary="Runs each trial on a Ray cluster.",
        card="search_tuner",
    ),
    Method(
        name="search.TPE",
        kind="oracle",
        summary="Searches where the best trials lie dense.",
        card="hyperparameters",
        reference="Bergstra et al. 2011, NeurIPS; Watanabe 2023, arXiv "
        "2304.11127",
    ),
    Method(
        name="search.RandomSearch",
        kind="oracle",
        summary="Tries random points, none of them twice.",
        card="hyperparameters",
        reference="Bergstra and Bengio 2012, JMLR 13",
    ),
    Method(
        name="search.GridSearch",
        kind="oracle",
        summary="Tries all combinations in order, and resumes.",
        card="hyperparameters",
    ),
    Method(
        name="search.Hyperband",
        kind="oracle",
        summary="Goes on with the best of many short trials.",
        card="hyperparameters",
        reference="Li et al. 2018, JMLR 18; Falkner et al. 2018, arXiv "
        "1807.01774",
    ),
    Method(
        name="search.RegularizedEvolution",
        kind="oracle",
        summary="Changes one value of a good recent trial.",
        card="hyperparameters",
        reference="Real et al. 2018, arXiv 1802.01548",
    ),
    Method(
        name="search.NSGA2",
        kind="oracle",
        summary="Searches the best compromises of several goals.",
        card="hyperparameters",
        reference="Deb et al. 2002, IEEE Trans. Evol. Comput. 6",
    ),
    Method(
        name="search.OptunaOracle",
        kind="oracle",
        summary="Searches with Optuna: Gaussian process, CMA-ES.",
        card="hyperparameters",
        reference="Akiba et al. 2019, arXiv 1907.10902",
    ),
)
