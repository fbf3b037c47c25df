"""Trains found and random sub-networks in the same way."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_netopt.checks import (
    check_bool,
    check_integer,
    check_number,
    check_seeds,
)
from keras_netopt.metric_direction import resolve_monitor
from keras_netopt.search.subnetworks.weedout_comparison import (
    FOUND,
    PARENT,
    RANDOM,
    WeedoutComparison,
)
from keras_netopt.training import randomness
from keras_netopt.training.compiled_clone import clone_compiled
from keras_netopt.training.initial_values import (
    assign_initial_values,
    check_initial_values,
)


@dataclass(frozen=True, eq=False)
class _Training:
    """The history of one training, and the loss before it."""

    history: Mapping[str, Sequence[float]]
    steps_per_epoch: int
    initial_loss: float
    seconds: float

    def last(self, name: str) -> float:
        return float(self.history[name][-1])

    def steps_to(self, loss: float) -> int | None:
        for epoch, value in enumerate(self.history["loss"]):
            if value <= loss:
                return (epoch + 1) * self.steps_per_epoch
        return None


@randomness.temporary_seed(0)  # Restores; each training sets its own seed.
def compare_subnetworks(
    search: Any,
    fit: Callable[[keras.Model], Any],
    *,
    seeds: int | Sequence[int],
    monitor: str | None,
    target_loss: float | None,
    reinitialize: bool,
    verbose: int,
) -> WeedoutComparison:
    """Repeats a search per seed, and trains parent, found and random ones.

    Args:
        search: The search, with `parent` and `run(seed)`.
        fit: Trains a model and returns its history.
        seeds: As in `WeedoutResult.compare`, as all others.
        monitor: The compared metric.
        target_loss: Training loss for the steps to it.
        reinitialize: Whether each seed starts from new initial values.
        verbose: 1 prints a line per training.
    """
    if not callable(fit) or isinstance(fit, keras.Model):
        raise TypeError(
            "Argument `fit` must be a function that trains a model and "
            f"returns its history. Received: fit={fit!r}"
        )
    seed_list = check_seeds(seeds)
    check_integer(verbose, "verbose")
    if target_loss is not None:
        check_number(target_loss, "target_loss")
    check_bool(reinitialize, "reinitialize")
    parent = search.parent
    if reinitialize:
        check_initial_values(parent)
    given = parent.get_weights()
    runs: dict[str, list[list[_Training]]] = {PARENT: [], FOUND: [], RANDOM: []}
    seconds = search_macs = training_seconds = 0.0
    try:
        for seed in seed_list:
            if reinitialize:
                assign_initial_values(parent, seed)
            result = search.run(seed)
            seconds += result.seconds
            search_macs += result.macs
            arms = {
                PARENT: [(clone_compiled(parent), result.parent_loss)],
                FOUND: [(result.model, result.loss)],
                RANDOM: [(one.model, one.loss) for one in result.random],
            }
            for name, networks in arms.items():
                trained = [_train(fit, *one, seed=seed) for one in networks]
                runs[name].append(trained)
                metric = _resolve(monitor, trained[0].history)
                if verbose:
                    value = trained[0].last(metric)
                    print(f"{name}, seed {seed}: {metric} {value:.4f}")
            training_seconds += runs[FOUND][-1][0].seconds
    finally:
        parent.set_weights(given)
    if target_loss is None:
        target_loss = _mean(runs[RANDOM], lambda one: one.last("loss"))
    return WeedoutComparison(
        monitor=metric,
        values={
            name: [_mean([one], lambda t: t.last(metric)) for one in own]
            for name, own in runs.items()
        },
        initial_losses={
            name: [_mean([one], lambda t: t.initial_loss) for one in own]
            for name, own in runs.items()
        },
        steps={
            name: [_steps(one, target_loss) for one in own]
            for name, own in runs.items()
        },
        target_loss=target_loss,
        evaluations=search.settings.candidates * len(seed_list),
        seconds=seconds,
        search_macs=search_macs,
        training_seconds=training_seconds,
    )


def _train(
    fit: Callable[[keras.Model], Any],
    model: keras.Model,
    initial_loss: float,
    *,
    seed: int,
) -> _Training:
    randomness.set_seed(seed)
    randomness.restore_random_state(model, _seed_states(model, seed))
    begin = time.perf_counter()
    history = fit(model)
    seconds = time.perf_counter() - begin
    logs = getattr(history, "history", None)
    if not isinstance(logs, Mapping) or not logs.get("loss"):
        raise TypeError(
            "Argument `fit` must return the `History` of `model.fit`: "
            "`return model.fit(...)`. Received: a result of type "
            f"{type(history).__name__}"
        )
    steps = (getattr(history, "params", None) or {}).get("steps")
    return _Training(dict(logs), int(steps or 0), initial_loss, seconds)


def _seed_states(model: keras.Model, seed: int) -> dict[str, np.ndarray]:
    """Draws states for dropout, whose own are random in each copy."""
    states = randomness.capture_random_state(model)
    return {
        name: np.random.default_rng([seed, i])
        .integers(2**31 - 1, size=state.shape)
        .astype(state.dtype)
        for i, (name, state) in enumerate(states.items())
        if name.startswith("seed")
    }


def _resolve(monitor: str | None, logs: Mapping[str, Sequence[float]]) -> str:
    if monitor is None and not {"val_accuracy", "val_loss"} & set(logs):
        return "loss"
    return resolve_monitor(monitor, logs)


def _mean(
    runs: Sequence[Sequence[_Training]], value: Callable[[_Training], float]
) -> float:
    return float(np.mean([value(one) for group in runs for one in group]))


def _steps(group: Sequence[_Training], loss: float) -> int | None:
    """Returns the median of a group; `None` if one does not reach it."""
    found = [one.steps_to(loss) for one in group]
    reached = [steps for steps in found if steps is not None]
    return int(np.median(reached)) if len(reached) == len(found) else None
