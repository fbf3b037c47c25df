"""Hyperparameter search: rows of the registry."""

from keras_netopt.registry.method import Method

METHODS: tuple[Method, ...] = (
    Method(
        name="search.Tuner",
        kind="tuner",
        summary="Tunes with folds, processes and constraints.",
        card="search_tuner",
    ),
    Method(
        name="search.ASHA",
        kind="stopper",
        summary="Stops trials that are not among the best of their rung.",
        card="search_tuner",
        reference="Li et al. 2020, arXiv 1810.05934",
    ),
    Method(
        name="search.Median",
        kind="stopper",
        summary="Stops trials that are worse than the median of finished ones.",
        card="search_tuner",
        reference="Golovin et al. 2017, KDD",
    ),
    Method(
        name="search.Patience",
        kind="stopper",
        summary="Stops trials whose objective no longer improves.",
        card="search_tuner",
    ),
    Method(
        name="search.local_processes",
        kind="function",
        summary="Runs each trial in a new local process.",
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
        summary="Searches with a tree-structured Parzen estimator.",
        card="hyperparameters",
        reference="Bergstra et al. 2011, NeurIPS; Watanabe 2023, arXiv "
        "2304.11127",
    ),
    Method(
        name="search.RandomSearch",
        kind="oracle",
        summary="Samples random points and repeats none.",
        card="hyperparameters",
        reference="Bergstra and Bengio 2012, JMLR 13",
    ),
    Method(
        name="search.GridSearch",
        kind="oracle",
        summary="Tries all combinations in order; can be resumed.",
        card="hyperparameters",
    ),
    Method(
        name="search.Hyperband",
        kind="oracle",
        summary="Starts many short trials and continues the best of them.",
        card="hyperparameters",
        reference="Li et al. 2018, JMLR 18; Falkner et al. 2018, arXiv "
        "1807.01774",
    ),
    Method(
        name="search.RegularizedEvolution",
        kind="oracle",
        summary="Mutates one value of a good recent trial.",
        card="hyperparameters",
        reference="Real et al. 2018, arXiv 1802.01548",
    ),
    Method(
        name="search.NSGA2",
        kind="oracle",
        summary="Searches the Pareto front of several objectives.",
        card="hyperparameters",
        reference="Deb et al. 2002, IEEE Trans. Evol. Comput. 6",
    ),
    Method(
        name="search.OptunaOracle",
        kind="oracle",
        summary="Uses an Optuna sampler: Gaussian process, CMA-ES and others.",
        card="hyperparameters",
        reference="Akiba et al. 2019, arXiv 1907.10902",
    ),
)
