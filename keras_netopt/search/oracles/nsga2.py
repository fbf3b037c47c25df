"""Several objectives at once: the front of all good compromises."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras_tuner
import numpy as np

from keras_netopt.checks import check_integer, check_probability
from keras_netopt.search.oracles.base import SearchOracle
from keras_netopt.search.oracles.locking import exclusive
from keras_netopt.search.oracles.observations import lower_is_better
from keras_netopt.search.sampling import pareto
from keras_netopt.search.space import Values


class NSGA2(SearchOracle):
    """Searches the Pareto front of several objectives.

    Parents are points that no other beats in all objectives, the loneliest
    first; children take each value from one of two parents, and now and then
    a new one. KerasTuner itself sees the first objective alone: it decides
    the checkpoint and `score`; the others are read at that epoch, or where
    they were reported once. They may be metrics of the model or numbers that
    a callback adds to the logs, as parameters or latency.

    Example:

    >>> import keras_tuner
    >>> from keras_netopt.search import NSGA2
    >>> oracle = NSGA2(
    ...     ["val_accuracy", keras_tuner.Objective("macs", "min")],
    ...     max_trials=200,
    ...     constraints={"latency_ms": 5.0},
    ... )
    >>> oracle.pareto_front()
    []

    Args:
        objective: The objectives, two or more: names, or
            `keras_tuner.Objective` where the direction cannot be told.
        max_trials: As in `SearchOracle`. Defaults to `10`.
        population_size: Points that can have children, at least 2. Defaults
            to `None`: 50 for searches of 200 trials and more, else a quarter
            of the trials, at least 4.
        crossover: Probability that a child has two parents, in [0, 1].
            Defaults to `0.9`.
        mutation: Probability that a value is drawn anew, in [0, 1]. Defaults
            to `None`: one value a child.
        constraints: Largest value of metrics, by name. Points that keep all
            beat points that do not. Defaults to `None`.
        **options: `seed`, `points` and all else of `SearchOracle`, without
            `warm_start`: the points of another front go into `points`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, there is nothing to
            search, or a trial has not reported all of these metrics.

    Reference:
        Deb et al. 2002, *A Fast and Elitist Multiobjective Genetic
        Algorithm: NSGA-II*, IEEE Trans. Evol. Comput. 6.
    """

    learns = False

    def __init__(
        self,
        objective: Sequence[Any],
        max_trials: int | None = 10,
        *,
        population_size: int | None = None,
        crossover: float = 0.9,
        mutation: float | None = None,
        constraints: Mapping[str, float] | None = None,
        **options: Any,
    ) -> None:
        self.objectives = _as_objectives(objective)
        if population_size is None:
            quarter = 50 if max_trials is None else max_trials // 4
            population_size = min(max(quarter, 4), 50)
        self.population_size = check_integer(
            population_size, "population_size", minimum=2
        )
        self.crossover = check_probability(crossover, "crossover")
        self.mutation = (
            None
            if mutation is None
            else check_probability(mutation, "mutation")
        )
        self.constraints = _as_bounds(constraints)
        # Parents after each whole generation, as indices of `_members()`.
        self._parents: list[list[int]] = []
        super().__init__(self.objectives[0], max_trials, **options)

    def suggest(self, trial_id: str) -> Values | None:
        """Returns a child, or a random point of the first population."""
        members = self._members()
        if len(self.start_order) < self.population_size or len(members) < 2:
            return self.space.random(self._rng)
        parents = [members[i] for i in self._survivors(members)]
        scores, violations = self._scores(parents)
        order = pareto.ranks(scores, violations), pareto.crowding(scores)
        first, second = (parents[self._win(*order)] for _ in range(2))
        if self._rng.random() >= self.crossover:
            second = first
        mother, father = (t.hyperparameters.values for t in (first, second))
        active = [d for d in self.space.active(mother) if d.size != 1]
        mutation = self.mutation
        if mutation is None:
            mutation = 1.0 / max(len(active), 1)
        return self.space.cross(mother, father, self._rng, mutation=mutation)

    def pareto_front(self) -> list[Any]:
        """Returns the trials that no other beats in all objectives.

        Returns:
            Completed trials that keep the constraints, by the first
            objective, best first. Where two are equal, both are in it.
        """
        members = self._members()
        scores, violations = self._scores(members)
        kept = np.flatnonzero(violations == 0)
        if not len(kept):
            return []
        front = kept[pareto.ranks(scores[kept]) == 0]
        return [members[i] for i in sorted(front, key=lambda i: scores[i, 0])]

    @exclusive
    def update_trial(
        self, trial_id: str, metrics: Mapping[str, float], step: int = 0
    ) -> Any:
        """Stores metrics, each objective with its own direction."""
        tracker = self.trials[trial_id].metrics
        for one in self.objectives:
            # KerasTuner would take those that it does not know for costs.
            if one.name in metrics and not tracker.exists(one.name):
                tracker.register(one.name, direction=one.direction)
        return super().update_trial(trial_id, metrics, step)

    def end_trial(self, trial: Any) -> None:
        """Ends a trial, once it has reported every metric."""
        if trial.status == "COMPLETED":
            reported = self.trials[trial.trial_id].metrics
            names = [o.name for o in self.objectives] + [*self.constraints]
            missing = [name for name in names if not reported.exists(name)]
            if missing:
                raise ValueError(
                    "Every trial must report the metrics of all objectives "
                    f"and constraints; {missing} are missing. Add them to the "
                    "model's metrics, or to the logs by a callback. Received: "
                    f"{sorted(reported.metrics)}"
                )
        super().end_trial(trial)

    def identity(self) -> dict[str, Any]:
        """What a project folder must have been made with to be resumed."""
        objectives = [[o.name, o.direction] for o in self.objectives]
        return {**super().identity(), "objectives": objectives}

    def _members(self) -> list[Any]:
        trials = [self.trials[name] for name in self.end_order]
        return [trial for trial in trials if trial.status == "COMPLETED"]

    def _survivors(self, members: list[Any]) -> list[int]:
        """The parents: generation by generation, from the trials alone."""
        size = self.population_size
        for g in range(len(self._parents), len(members) // size):
            pool = self._parents[g - 1] if g else []
            pool = [*pool, *range(g * size, (g + 1) * size)]
            scores = self._scores([members[i] for i in pool])
            kept = pareto.select(scores[0], size, scores[1])
            self._parents.append([pool[i] for i in kept])
        return self._parents[-1] if self._parents else [*range(len(members))]

    def _scores(self, trials: list[Any]) -> tuple[np.ndarray, np.ndarray]:
        """Scores to minimise and violations of the constraints."""
        scores = np.array(
            [
                [
                    lower_is_better(_metric(trial, o.name), o.direction)
                    for o in self.objectives
                ]
                for trial in trials
            ]
        ).reshape(len(trials), len(self.objectives))
        violations = np.zeros(len(trials))
        for name, bound in self.constraints.items():
            found = np.array([_metric(trial, name) for trial in trials])
            excess = np.where(np.isnan(found), np.inf, found - bound)
            violations += np.maximum(excess, 0.0) / (abs(bound) or 1.0)
        return scores, violations

    def _win(self, ranks: np.ndarray, alone: np.ndarray) -> int:
        """Binary tournament: the better front, then the lonelier one."""
        pair = self._rng.integers(len(ranks), size=2).tolist()
        return min(pair, key=lambda i: (ranks[i], -alone[i]))


def _metric(trial: Any, name: str) -> float:
    """A metric at the best epoch, or where it was reported last."""
    history = trial.metrics.get_history(name)
    for observation in history:
        if observation.step == trial.best_step:
            return float(observation.mean())
    return float(history[-1].mean())


def _as_objectives(objective: Any) -> list[Any]:
    if isinstance(objective, str) or not isinstance(objective, Sequence):
        objective = [objective]
    found = []
    infer = keras_tuner.engine.metrics_tracking.infer_metric_direction
    for one in objective:
        name = one if isinstance(one, str) else getattr(one, "name", None)
        direction = getattr(one, "direction", None)
        if isinstance(one, str):
            direction = infer(one)
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
            "objectives; for one, take `TPE`. "
            f"Received: objective={objective!r}"
        )
    return found


def _as_bounds(constraints: Any) -> dict[str, float]:
    bounds = dict(constraints or {})
    for name, bound in bounds.items():
        is_number = isinstance(bound, int | float) and math.isfinite(bound)
        if not isinstance(name, str) or not is_number:
            raise ValueError(
                "Argument `constraints` must map names of metrics to their "
                f"largest values. Received: constraints={constraints!r}"
            )
    return bounds
