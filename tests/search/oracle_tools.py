"""Drives oracles without training anything."""

import keras_tuner

from keras_netopt import search


def space(**entries):
    """`space(x=("Float", 0.0, 1.0))`: hyperparameters in this order."""
    hp = keras_tuner.HyperParameters()
    for name, (kind, *arguments) in entries.items():
        getattr(hp, kind)(name, *arguments)
    return hp


def cells(rows=4, columns=4):
    """A space of 16 points."""
    return space(
        a=("Choice", list(range(rows))),
        b=("Choice", [f"b{i}" for i in range(columns)]),
    )


def bowl():
    """Two numbers and a category."""
    hp = space(
        x=("Float", -1.0, 1.0), n=("Int", 1, 100), kind=("Choice", ["a", "b"])
    )
    return hp


def score_bowl(values):
    missing = 0.3 if values["kind"] == "a" else 0.0
    return (values["x"] - 0.3) ** 2 + abs(values["n"] - 70) / 100 + missing


def nested():
    """Conditions two deep, one name under two parents, an int on a log."""
    hp = keras_tuner.HyperParameters()
    hp.Choice("net", ["mlp", "cnn"])
    with hp.conditional_scope("net", ["mlp"]):
        hp.Int("size", 1, 4)
        hp.Boolean("norm")
        with hp.conditional_scope("norm", [True]):
            hp.Float("momentum", 0.5, 0.99)
    with hp.conditional_scope("net", ["cnn"]):
        hp.Int("size", 100, 200, step=20)
        hp.Int("filters", 4, 64, sampling="log")
    hp.Fixed("version", 3)
    return hp


def assert_valid_nested(values):
    names = {"net", "size", "version"}
    if values["net"] == "mlp":
        names |= {"norm"} | ({"momentum"} if values["norm"] else set())
        assert values["size"] in range(1, 5)
    else:
        names |= {"filters"}
        assert values["size"] in range(100, 201, 20)
        assert values["filters"] in range(4, 65)
    assert set(values) == names
    assert values["version"] == 3


def attach(oracle, folder):
    oracle._set_project_dir(str(folder), "project")
    oracle.verbose = 0
    return oracle


def without_files(oracle):
    oracle.save = oracle._save_trial = lambda *trial: None
    oracle.verbose = 0
    return oracle


def resume(oracle, folder):
    """As a tuner does: reload where there is something to reload."""
    attach(oracle, folder)
    if (folder / "project" / "oracle.json").exists():
        oracle.reload()
    return oracle


def finish(oracle, trial, metrics, epochs=1):
    """Reports metrics at each epoch, the last ones the best, and ends."""
    names = {oracle.objective.name}
    worse = 1.0 if oracle.objective.direction == "min" else -1.0
    for step in range(epochs):
        behind = worse * (epochs - 1 - step)
        reported = {
            name: value + (behind if name in names else 0.0)
            for name, value in metrics.items()
        }
        oracle.update_trial(trial.trial_id, reported, step=step)
    trial.status = "COMPLETED"
    oracle.end_trial(trial)


def drive(oracle, objective, epochs=1, most=10_000):
    """Runs a search in this process; returns what was tried, in order."""
    name = oracle.objective.name
    tried = []
    for _ in range(most):
        trial = oracle.create_trial("worker")
        if trial.status != "RUNNING":
            assert trial.status == "STOPPED"
            break
        values = dict(trial.hyperparameters.values)
        found = objective(values)
        metrics = found if isinstance(found, dict) else {name: found}
        allowed = values.get("tuner/epochs", epochs)
        finish(oracle, trial, metrics, min(epochs, allowed))
        tried.append(values)
    return tried


def history(oracle):
    """What must not depend on kills: ids, values and scores, in order."""
    return [
        (
            name,
            oracle.trials[name].hyperparameters.values,
            oracle.trials[name].score,
        )
        for name in oracle.start_order
    ]


def two_goals(values):
    x = values.get("x", values.get("a"))
    return {"loss": float(x), "cost": (float(x) - 2.0) ** 2}


def count_letters(values):
    """A score of any point; some are equal."""
    return {"letters": len(str(values)), "first": float(str(values) < "{'b")}


# One small setting of every oracle: the class, its own arguments, and what
# it minimizes on `cells()`.
ORACLES = {
    "RandomSearchOracle": {},
    "GridSearchOracle": {},
    "TPEOracle": {"n_startup_trials": 3},
    "TPEOracle-univariate": {"n_startup_trials": 3, "multivariate": False},
    "RegularizedEvolutionOracle": {"population_size": 4, "sample_size": 2},
    "NSGA2Oracle": {"population_size": 4},
    "ZeroCostOracle": {"pool": 20, "score": count_letters},
}


def make(name, hyperparameters, max_trials=30, seed=0, **more):
    """Builds an oracle of `ORACLES`."""
    kind = name.partition("-")[0]
    options = {**ORACLES[name], **more}
    objective = "val_loss"
    if kind == "NSGA2Oracle":
        objective = [
            keras_tuner.Objective("loss", "min"),
            keras_tuner.Objective("cost", "min"),
        ]
    return getattr(search, kind)(
        objective,
        max_trials,
        seed=seed,
        hyperparameters=hyperparameters,
        **options,
    )


def goal(name):
    if name == "NSGA2Oracle":
        return two_goals
    return lambda values: float(values["a"]) + (values["b"] == "b1")
