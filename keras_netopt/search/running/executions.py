"""The executions of one trial, over folds and seeds, and their mean.

Private names of KerasTuner 1.4.8: `src.engine.tuner_utils` is used.
"""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from keras_tuner.src.engine import tuner_utils

from keras_netopt.search.folds import FoldedData
from keras_netopt.search.running.oracle_proxy import EPOCHS


@dataclass(frozen=True)
class Execution:
    """One training of a trial.

    `name` is "" for the only one, else "fold0", "execution1" or
    "fold0/execution1"; `index` counts the executions of the trial from 0;
    `data` holds the arguments of `fit` that differ between executions.
    """

    name: str
    index: int
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """Name of its subfolder in the folder of the trial."""
        return self.name.replace("/", "-") or "run"


@dataclass(frozen=True)
class ExecutionResult:
    """The result of one execution.

    `metrics` are the logs of the scored `epoch`, which counts from 0;
    `epochs` is the number of epochs trained; `stopped` is true if a stopper
    ended the execution.
    """

    execution: Execution
    metrics: dict[str, float]
    epoch: int
    epochs: int
    stopped: bool


def iterate_executions(
    folds: FoldedData | None, executions: int
) -> Iterator[Execution]:
    """Yields the executions of a trial, `executions` per fold."""
    index = 0
    parts: Any = [None] if folds is None else folds
    for fold, part in enumerate(parts):
        names = [] if part is None else [f"fold{fold}"]
        for execution in range(executions):
            again = [f"execution{execution}"] if executions > 1 else []
            data = {} if part is None else _fit_data(*part)
            yield Execution("/".join(names + again), index, data)
            index += 1


def aggregate_results(
    results: list[ExecutionResult], objective: Any
) -> tuple[dict[str, float], int]:
    """Returns the metrics of a trial, and the epoch that they belong to.

    The metrics of several executions are averaged; the standard deviation of
    the objective (ddof 1) and the value of each execution are added.
    """
    epochs = float(sum(one.epochs for one in results))
    first = results[0]
    if not first.execution.name:
        # The name of a `MultiObjective` is not in the logs.
        score = {objective.name: objective.get_value(first.metrics)}
        return {**first.metrics, **score, EPOCHS: epochs}, first.epoch
    metrics = {
        name: statistics.fmean(one.metrics[name] for one in results)
        for name in first.metrics
        if all(name in one.metrics for one in results)
    }
    name = objective.name
    values = [objective.get_value(one.metrics) for one in results]
    metrics[name] = statistics.fmean(values)
    if len(values) > 1:
        metrics[f"{name}_std"] = statistics.stdev(values)
    # The first execution was reported epoch by epoch.
    for one, value in zip(results[1:], values[1:], strict=True):
        metrics[f"{one.execution.name}/{name}"] = value
    folds = {one.execution.name.partition("/")[0] for one in results}
    if first.execution.name.startswith("fold"):
        metrics["folds_done"] = float(len(folds))
    metrics[EPOCHS] = epochs
    return metrics, round(statistics.fmean(one.epoch for one in results))


def read_returned(result: Any, objective: Any, source: str) -> dict[str, float]:
    """Returns the metrics that a user's function has returned.

    Args:
        result: A float, a dictionary, or a list of one of these, for several
            executions.
        objective: The objective; one of several objectives is their sum,
            which a dictionary need not hold.
        source: Name of the function.

    Raises:
        FatalTypeError, FatalValueError: If the result is nothing of that.
    """
    if isinstance(result, list):
        result = [_add_sum(one, objective) for one in result]
    else:
        result = _add_sum(result, objective)
    tuner_utils.validate_trial_results(result, objective, source)
    return dict(tuner_utils.convert_to_metrics_dict(result, objective))


def _add_sum(result: Any, objective: Any) -> Any:
    if not isinstance(result, dict) or not objective.has_value(result):
        return result
    return {**result, objective.name: objective.get_value(result)}


def _fit_data(
    train: tuple[Any, ...], held_out: tuple[Any, ...]
) -> dict[str, Any]:
    names = ("x", "y", "sample_weight")
    return {
        **dict(zip(names, train, strict=False)),
        "validation_data": held_out,
    }
