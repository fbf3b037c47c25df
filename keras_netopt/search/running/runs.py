"""The trainings of one trial: folds, executions, and what they add up to."""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from keras_netopt.search.folds import FoldedData
from keras_netopt.search.running.oracle_proxy import EPOCHS


@dataclass(frozen=True)
class Run:
    """One training.

    Args:
        name: "" for the only one, else "fold0", "execution1" or both.
        index: Number among the trainings of the trial.
        data: Arguments of `fit` that differ from run to run.
    """

    name: str
    index: int
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """Name of its folder in that of the trial."""
        return self.name.replace("/", "-") or "run"


@dataclass(frozen=True)
class Outcome:
    """What one training has come to.

    Args:
        run: Which one.
        metrics: At the epoch that counts.
        epoch: The epoch that counts, from 0.
        epochs: Epochs trained.
        stopped: Whether a stopper ended it.
    """

    run: Run
    metrics: dict[str, float]
    epoch: int
    epochs: int
    stopped: bool


def runs(folds: FoldedData | None, executions: int) -> Iterator[Run]:
    """Returns the trainings of a trial, data and all, one after the other."""
    index = 0
    parts: Any = [None] if folds is None else folds
    for fold, part in enumerate(parts):
        names = [] if part is None else [f"fold{fold}"]
        for execution in range(executions):
            again = [f"execution{execution}"] if executions > 1 else []
            data = {} if part is None else _arguments(*part)
            yield Run("/".join(names + again), index, data)
            index += 1


def summary(
    outcomes: list[Outcome], objective: Any
) -> tuple[dict[str, float], int]:
    """Returns the metrics of a trial, and the epoch that they belong to.

    Several trainings count with their mean; the standard deviation of the
    objective (ddof 1) and each training's own value stand beside it.

    Args:
        outcomes: Of the trainings, in their order.
        objective: KerasTuner's objective.
    """
    epochs = float(sum(one.epochs for one in outcomes))
    first = outcomes[0]
    if not first.run.name:
        # KerasTuner's name for several objectives is in no logs.
        score = {objective.name: objective.get_value(first.metrics)}
        return {**first.metrics, **score, EPOCHS: epochs}, first.epoch
    metrics = {
        name: statistics.fmean(one.metrics[name] for one in outcomes)
        for name in first.metrics
        if all(name in one.metrics for one in outcomes)
    }
    name = objective.name
    values = [objective.get_value(one.metrics) for one in outcomes]
    metrics[name] = statistics.fmean(values)
    if len(values) > 1:
        metrics[f"{name}_std"] = statistics.stdev(values)
    # The first one's were reported epoch by epoch.
    for one, value in zip(outcomes[1:], values[1:], strict=True):
        metrics[f"{one.run.name}/{name}"] = value
    folds = {one.run.name.partition("/")[0] for one in outcomes}
    if first.run.name.startswith("fold"):
        metrics["folds_done"] = float(len(folds))
    metrics[EPOCHS] = epochs
    return metrics, round(statistics.fmean(one.epoch for one in outcomes))


def _arguments(
    train: tuple[Any, ...], held_out: tuple[Any, ...]
) -> dict[str, Any]:
    names = ("x", "y", "sample_weight")
    return {
        **dict(zip(names, train, strict=False)),
        "validation_data": held_out,
    }
