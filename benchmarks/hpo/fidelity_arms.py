"""The searches that are compared: each goes on for as long as it is asked.

A search yields a `Training` per trial. All of them see the same curves.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import keras_tuner

from benchmarks.hpo.fidelity_curves import EPOCHS, Curve, CurveTable
from keras_netopt import search
from keras_netopt.search.running.oracle_proxy import OracleProxy
from keras_netopt.search.running.search_limits import SearchLimits

ETA = 3
ITERATIONS = 30  # Of Hyperband, more than any budget pays for.
# At other epochs nothing is decided, so that reports there change nothing.
REPORTED = (1, 3, 9, EPOCHS)


class Training(NamedTuple):
    """One trial.

    `place` is the network, `epochs` are those trained in this trial, `rank`
    is the sort key by which the search picks its winner, `cpu` are the
    seconds until the trial was suggested.
    """

    place: int
    epochs: int
    rank: tuple[float, ...]
    cpu: float


Search = Callable[[CurveTable, int], Iterator[Training]]


def ours(kind: str, *, stops: bool = True) -> Search:
    """One of our oracles, with ASHA, as `search.Tuner` drives it."""

    def run(table: CurveTable, seed: int) -> Iterator[Training]:
        oracle = getattr(search, kind)(
            "val_loss",
            None,
            seed=seed,
            hyperparameters=_space(table),
            defaults_first=False,
        )
        stopper = search.ASHA(eta=ETA) if stops else None
        return _drive(table, table.draw(seed), oracle, stopper)

    return run


def hyperband(table: CurveTable, seed: int) -> Iterator[Training]:
    """Hyperband, whose promoted trials are continued."""
    return _drive(table, table.draw(seed), _hyperband(table, seed), None)


def bohb(table: CurveTable, seed: int) -> Iterator[Training]:
    """Hyperband with points of TPE."""
    oracle = _hyperband(table, seed, sampler=search.TPEOracle())
    return _drive(table, table.draw(seed), oracle, None)


def optuna_hyperband(table: CurveTable, seed: int) -> Iterator[Training]:
    """Optuna's TPE with its Hyperband pruner, ordered axes as integers."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    curve = table.draw(seed)
    study = optuna.create_study(
        study_name=f"{seed}",  # The pruner draws brackets by it.
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.HyperbandPruner(1, EPOCHS, ETA),
    )
    while True:
        begun = time.process_time()
        trial = study.ask()
        values = {}
        for name, axis in table.axes.items():
            if isinstance(axis[0], str):
                values[name] = trial.suggest_categorical(name, axis)
            else:
                values[name] = axis[trial.suggest_int(name, 0, len(axis) - 1)]
        cpu = time.process_time() - begun
        place = table.place(values)
        losses = curve(place).tolist()
        for epoch in REPORTED:
            loss = losses[epoch - 1]
            trial.report(loss, epoch)
            if epoch < EPOCHS and trial.should_prune():
                break
        if epoch < EPOCHS:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            study.tell(trial, loss)
        yield Training(place, epoch, (float(epoch < EPOCHS), loss), cpu)


def _hyperband(table: CurveTable, seed: int, **options: Any) -> Any:
    return search.HyperbandOracle(
        "val_loss",
        EPOCHS,
        hyperband_iterations=ITERATIONS,
        seed=seed,
        hyperparameters=_space(table),
        defaults_first=False,
        **options,
    )


def _space(table: CurveTable) -> Any:
    space = keras_tuner.HyperParameters()
    for name, axis in table.axes.items():
        space.Choice(name, axis)
    return space


def _drive(
    table: CurveTable, curve: Curve, oracle: Any, stopper: Any
) -> Iterator[Training]:
    """Runs an oracle as the tuner does, without training and files."""
    oracle.verbose = 0
    oracle.save = oracle._save_trial = lambda *trial: None
    if stopper is not None:
        stopper.on_search_begin(EPOCHS)
    OracleProxy(oracle, stopper, None, SearchLimits(None, None))
    while True:
        begun = time.process_time()
        trial = oracle.create_trial("tuner0")
        cpu = time.process_time() - begun
        if trial.status != "RUNNING":
            return
        values = trial.hyperparameters.values
        first = values.get("tuner/initial_epoch", 0)
        last = values.get("tuner/epochs", EPOCHS)
        place = table.place(values)
        losses, name = curve(place).tolist(), trial.trial_id
        for epoch in [one for one in REPORTED if first < one <= last]:
            metrics = {"val_loss": losses[epoch - 1]}
            answer = oracle.update_trial(name, metrics, step=epoch - 1)
            if answer.status == "STOPPED":
                break
        whole = {**metrics, "epochs": float(epoch - first)}
        oracle.update_trial(name, whole, step=epoch - 1)
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
        is_stopped = answer.status == "STOPPED"
        rank = (float(is_stopped), losses[epoch - 1])
        yield Training(place, epoch - first, rank, cpu)


ARMS: dict[str, Search] = {
    "random": ours("RandomSearchOracle"),
    "tpe": ours("TPEOracle"),
    "evolution": ours("RegularizedEvolutionOracle"),
    "hyperband": hyperband,
    "bohb": bohb,
    "optuna": optuna_hyperband,
    "tpe whole": ours("TPEOracle", stops=False),
    "whole": ours("RandomSearchOracle", stops=False),
}
