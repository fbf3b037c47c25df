"""Hyperparameter search: rows of the registry."""

from keras_netopt.registry.method import Method

# Summary and reference of each tuner and its oracle.
_ALGORITHMS = {
    "TPE": (
        "Searches with a tree-structured Parzen estimator.",
        "Bergstra et al. 2011, NeurIPS; Watanabe 2023, arXiv 2304.11127",
    ),
    "RandomSearch": (
        "Samples random points and repeats none.",
        "Bergstra and Bengio 2012, JMLR 13",
    ),
    "GridSearch": (
        "Tries all combinations in order; can be resumed.",
        "",
    ),
    "Hyperband": (
        "Starts many short trials and continues the best of them.",
        "Li et al. 2018, JMLR 18; Falkner et al. 2018, arXiv 1807.01774",
    ),
    "RegularizedEvolution": (
        "Mutates one value of a good recent trial.",
        "Real et al. 2018, arXiv 1802.01548",
    ),
    "NSGA2": (
        "Searches the Pareto front of several objectives (NSGA-II).",
        "Deb et al. 2002, IEEE Trans. Evol. Comput. 6",
    ),
    "Optuna": (
        "Uses an Optuna sampler: Gaussian process, CMA-ES and others.",
        "Akiba et al. 2019, arXiv 1907.10902",
    ),
}

METHODS: tuple[Method, ...] = (
    Method(
        name="search.Tuner",
        kind="tuner",
        summary="KerasTuner's Tuner with folds, stoppers and limits.",
        card="search_tuner",
    ),
    *(
        Method(
            name=f"search.{name}{suffix}",
            kind=kind,
            summary=summary,
            card="hyperparameters",
            reference=reference,
        )
        for kind, suffix in (("tuner", ""), ("oracle", "Oracle"))
        for name, (summary, reference) in _ALGORITHMS.items()
    ),
    Method(
        name="search.ASHA",
        kind="stopper",
        summary="Stops trials that are not among the best of their rung.",
        card="search_tuner",
        reference="Li et al. 2020, arXiv 1810.05934",
    ),
    Method(
        name="search.MedianStopping",
        kind="stopper",
        summary="Stops trials that are worse than the median complete trial.",
        card="search_tuner",
        reference="Golovin et al. 2017, KDD",
    ),
    Method(
        name="search.PatienceStopping",
        kind="stopper",
        summary="Stops trials whose objective no longer improves.",
        card="search_tuner",
    ),
    Method(
        name="search.local_processes",
        summary="Runs each trial in a new local process.",
        card="search_tuner",
    ),
    Method(
        name="search.RayExecutor",
        kind="executor",
        summary="Runs each trial on a Ray cluster.",
        card="search_tuner",
    ),
)
