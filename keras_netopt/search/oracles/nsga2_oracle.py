"""Multi-objective search with NSGA-II."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras_tuner
import numpy as np

from keras_netopt.checks import check_integer, check_probability
from keras_netopt.search.constraints import COSTS
from keras_netopt.search.oracles.locking import synchronized_method
from keras_netopt.search.oracles.observations import to_loss
from keras_netopt.search.oracles.oracle_arguments import check_objective
from keras_netopt.search.oracles.search_oracle import SearchOracle
from keras_netopt.search.sampling import pareto
from keras_netopt.search.search_space import Values


class NSGA2Oracle(SearchOracle):
    """NSGA-II: searches the Pareto front of several objectives.

    Parents are selected by non-dominated rank, then by crowding distance;
    children are made by uniform crossover and mutation. KerasTuner knows the
    first objective only: it determines the checkpoint and `score`. The other
    objectives are read at the epoch of the score, or at their last report.
    They may be metrics of the model, values that a callback adds to the logs,
    or costs: "macs", "params" and "bytes" of a built model, which a tuner of
    this package measures, and those of its `constraints`.

    Example:

    >>> from keras_netopt.search import NSGA2Oracle
    >>> oracle = NSGA2Oracle(
    ...     ["val_accuracy", "macs"],
    ...     max_trials=200,
    ...     metric_bounds={"latency_ms": 5.0},
    ... )
    >>> oracle.pareto_front()
    []

    Args:
        objective: Two or more objectives, required: names of metrics or
            costs, or `keras_tuner.Objective` with a direction. A cost comes
            after a metric.
        max_trials: As in `SearchOracle`. Defaults to `10`.
        population_size: Number of trials per generation, at least 2.
            Defaults to `None`: 50 for searches of 200 trials and more, else
            a quarter of the trials, at least 4.
        crossover_prob: Probability that a child has two parents, in [0, 1].
            Defaults to `0.9`.
        mutation_prob: Probability that a value is sampled at random, in
            [0, 1]. Defaults to `None`: one over the number of active
            hyperparameters.
        metric_bounds: Upper bounds of metrics by name. Trials within all
            bounds dominate the others. Defaults to `None`.
        **options: Other arguments of `SearchOracle`, without `warm_start`;
            pass the points of another front as `initial_points`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or a trial does not
            report all metrics.

    Reference:
        Deb et al. 2002, *A Fast and Elitist Multiobjective Genetic
        Algorithm: NSGA-II*, IEEE Trans. Evol. Comput. 6.
    """

    unsupported = ("warm_start",)
    # The completed ones among the first ended trials, and the number of these.
    _completed: list[Any]
    _read = 0

    def __init__(
        self,
        objective: Sequence[Any] | None = None,
        max_trials: int | None = 10,
        *,
        population_size: int | None = None,
        crossover_prob: float = 0.9,
        mutation_prob: float | None = None,
        metric_bounds: Mapping[str, float] | None = None,
        **options: Any,
    ) -> None:
        check_objective(objective, type(self).__name__)
        self.objectives = _as_objectives(objective)
        if population_size is None:
            quarter = 50 if max_trials is None else max_trials // 4
            population_size = min(max(quarter, 4), 50)
        self.population_size = check_integer(
            population_size, "population_size", minimum=2
        )
        self.crossover_prob = check_probability(
            crossover_prob, "crossover_prob"
        )
        if mutation_prob is not None:
            mutation_prob = check_probability(mutation_prob, "mutation_prob")
        self.mutation_prob = mutation_prob
        self.metric_bounds = _check_bounds(metric_bounds)
        # Parents after each complete generation, as indices of `_members()`.
        self._parents: list[list[int]] = []
        # The current parents with their ranks and crowding distances.
        self._order: tuple[list[int], np.ndarray, np.ndarray] | None = None
        super().__init__(self.objectives[0], max_trials, **options)

    @property
    def metric_names(self) -> list[str]:
        """The metrics that every trial must report, without duplicates."""
        names = [one.name for one in self.objectives]
        return list(dict.fromkeys([*names, *self.metric_bounds]))

    def suggest(self, trial_id: str) -> Values | None:
        """Returns a child, or a random point of the first population."""
        members = self._members()
        if len(self.start_order) < self.population_size or len(members) < 2:
            return self.space.random(self._rng)
        survivors = self._survivors(members)
        parents = [members[i] for i in survivors]
        if self._order is None or self._order[0] != survivors:
            scores, violations = self._scores(parents)
            ranks = pareto.front_ranks(scores, violations)
            distances = pareto.crowding_distance(scores)
            self._order = survivors, ranks, distances
        _, ranks, distances = self._order
        first, second = (
            parents[self._tournament(ranks, distances)] for _ in range(2)
        )
        if self._rng.random() >= self.crossover_prob:
            second = first
        mother, father = (t.hyperparameters.values for t in (first, second))
        active = [d for d in self.space.active(mother) if d.size != 1]
        mutation = self.mutation_prob
        if mutation is None:
            mutation = 1.0 / max(len(active), 1)
        return self.space.crossover(
            mother, father, self._rng, mutation=mutation
        )

    def pareto_front(self) -> list[Any]:
        """Returns the non-dominated trials.

        Returns:
            Completed trials within the metric bounds, by the first objective,
            best first. Equal trials are all included.
        """
        members = self._members()
        scores, violations = self._scores(members)
        kept = np.flatnonzero(violations == 0)
        if not len(kept):
            return []
        front = kept[pareto.front_ranks(scores[kept]) == 0]
        return [members[i] for i in sorted(front, key=lambda i: scores[i, 0])]

    @synchronized_method
    def update_trial(
        self, trial_id: str, metrics: Mapping[str, float], step: int = 0
    ) -> Any:
        """Stores metrics with the direction of each objective."""
        tracker = self.trials[trial_id].metrics
        for one in self.objectives:
            # KerasTuner would assume "min" for unknown metrics.
            if one.name in metrics and not tracker.exists(one.name):
                tracker.register(one.name, direction=one.direction)
        return super().update_trial(trial_id, metrics, step)

    def end_trial(self, trial: Any) -> None:
        """Ends a trial; checks that it has reported every metric."""
        if trial.status == "COMPLETED":
            reported = self.trials[trial.trial_id].metrics
            names = self.metric_names
            missing = [name for name in names if not reported.exists(name)]
            if missing:
                raise ValueError(
                    "Every trial must report the metrics of all objectives "
                    f"and bounds; {missing} are missing. Add them to the "
                    "model's metrics, or to the logs by a callback; "
                    f"{', '.join(COSTS)} are measured by a tuner of "
                    "`keras_netopt.search` if `build` returns built models, "
                    "which begin with `keras.Input`. Received: "
                    f"{sorted(reported.metrics)}"
                )
        super().end_trial(trial)

    def identity(self) -> dict[str, Any]:
        """Returns the settings that must not change on resume."""
        objectives = [[o.name, o.direction] for o in self.objectives]
        return {**super().identity(), "objectives": objectives}

    def _members(self) -> list[Any]:
        for name in self.end_order[self._read :]:
            if self.trials[name].status == "COMPLETED":
                self._completed.append(self.trials[name])
        self._read = len(self.end_order)
        return self._completed

    def _forget(self) -> None:
        super()._forget()
        self._completed = []
        self._read = 0

    def _survivors(self, members: list[Any]) -> list[int]:
        """Selects the parents, generation by generation."""
        size = self.population_size
        for g in range(len(self._parents), len(members) // size):
            pool = self._parents[g - 1] if g else []
            pool = [*pool, *range(g * size, (g + 1) * size)]
            scores = self._scores([members[i] for i in pool])
            kept = pareto.select_points(scores[0], size, scores[1])
            self._parents.append([pool[i] for i in kept])
        return self._parents[-1] if self._parents else [*range(len(members))]

    def _scores(self, trials: list[Any]) -> tuple[np.ndarray, np.ndarray]:
        """Returns the losses and the violations of the bounds."""
        scores = np.array(
            [
                [
                    to_loss(_read_metric(trial, o.name), o.direction)
                    for o in self.objectives
                ]
                for trial in trials
            ]
        ).reshape(len(trials), len(self.objectives))
        violations = np.zeros(len(trials))
        for name, bound in self.metric_bounds.items():
            found = np.array([_read_metric(trial, name) for trial in trials])
            excess = np.where(np.isnan(found), np.inf, found - bound)
            violations += np.maximum(excess, 0.0) / (abs(bound) or 1.0)
        return scores, violations

    def _tournament(self, ranks: np.ndarray, distances: np.ndarray) -> int:
        """Binary tournament: by rank, then by crowding distance."""
        pair = self._rng.integers(len(ranks), size=2).tolist()
        return min(pair, key=lambda i: (ranks[i], -distances[i]))


def _read_metric(trial: Any, name: str) -> float:
    """Returns a metric at the best epoch, or its last value."""
    history = trial.metrics.get_history(name)
    at = [one for one in history if one.step == trial.best_step]
    found = (at or history)[-1]
    # A cost is measured before the training, which may report another one.
    return float(found.value[-1] if name in COSTS else found.mean())


def _as_objectives(objective: Any) -> list[Any]:
    if isinstance(objective, str) or not isinstance(objective, Sequence):
        objective = [objective]
    found = []
    infer = keras_tuner.engine.metrics_tracking.infer_metric_direction
    for one in objective:
        name = one if isinstance(one, str) else getattr(one, "name", None)
        direction = getattr(one, "direction", None)
        if isinstance(one, str):
            direction = "min" if one in COSTS else infer(one)
        if direction not in ("min", "max"):
            raise ValueError(
                "Argument `objective` must hold metrics with a direction: "
                '`keras_tuner.Objective("macs", "min")`. '
                f"Received: objective with {one!r}"
            )
        found.append(keras_tuner.Objective(name, direction))
    names = {one.name for one in found}
    if len(found) < 2 or len(names) < len(found):
        raise ValueError(
            "Argument `objective` must be a list of two or more different "
            "objectives; for one objective use `TPEOracle`. "
            f"Received: objective={objective!r}"
        )
    return found


def _check_bounds(metric_bounds: Any) -> dict[str, float]:
    bounds = {} if metric_bounds is None else metric_bounds
    if not isinstance(bounds, Mapping):
        raise TypeError(
            "Argument `metric_bounds` must map names of metrics to their "
            f"largest values. Received: metric_bounds={metric_bounds!r}"
        )
    for name, bound in bounds.items():
        is_number = isinstance(bound, int | float) and abs(bound) < math.inf
        if not isinstance(name, str) or not is_number:
            raise ValueError(
                "Argument `metric_bounds` must map names of metrics to their "
                f"largest values. Received: metric_bounds={metric_bounds!r}"
            )
    return dict(bounds)
