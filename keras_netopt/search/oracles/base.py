"""What every oracle of ours does around the one method that differs."""

import dataclasses
import random
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from keras_netopt.checks import check_bool, check_integer, check_seed
from keras_netopt.search.oracles.durable import DurableOracle
from keras_netopt.search.oracles.observations import (
    FINISHED,
    INFEASIBLE,
    REJECTED,
    RUNNING,
    STOPPED,
    STOPPED_METRIC,
    Observation,
    lower_is_better,
)
from keras_netopt.search.oracles.warm_start import read_warm_start
from keras_netopt.search.space import Space, Values


class SearchOracle(DurableOracle):
    """Base of the oracles: override `suggest`, the rest is done.

    Around `suggest` it evaluates the default point and `points` first, never
    suggests a point twice, stops when the space is exhausted, means its seed,
    and saves so that a search killed at any moment goes on as if nothing had
    happened: the random generator's state and the trials are all there is to
    know.

    Example:

    >>> import keras_tuner
    >>> from keras_netopt.search import SearchOracle
    >>> class Middle(SearchOracle):
    ...     def suggest(self, trial_id):
    ...         return self.space.fill(lambda dimension: dimension.value(0.5))
    >>> hp = keras_tuner.HyperParameters()
    >>> _ = hp.Float("rate", 0.0, 1.0)
    >>> oracle = Middle("val_loss", 3, hyperparameters=hp)
    >>> oracle.populate_space("0")["values"]  # Defaults come first.
    {'rate': 0.0}

    Args:
        objective: Metric to optimize: a name, or a `keras_tuner.Objective`
            where the direction cannot be told from the name.
        max_trials: Most trials of the search, `None` for no limit. Defaults
            to `10`.
        seed: An integer of at least 0; 0 is a seed like any other. Defaults
            to `None`: a random one.
        points: Points to evaluate first, a list of dicts; what a point
            leaves out takes its default. Defaults to `None`.
        defaults_first: Whether the first trial has all defaults. It has in
            any case where the space is not known before a first build.
            Defaults to `True`.
        warm_start: What another search has found: its project directory, or
            a list of `(values, score)`. Learned from, not counted as tried.
            Defaults to `None`.
        hyperparameters: As in every KerasTuner oracle. Defaults to `None`.
        allow_new_entries: As in every KerasTuner oracle. Defaults to `True`.
        tune_new_entries: As in every KerasTuner oracle. Defaults to `True`.
        max_retries_per_trial: As in every KerasTuner oracle. Defaults to `0`.
        max_consecutive_failed_trials: As in every KerasTuner oracle. Defaults
            to `3`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range; when the search begins if
            one of `points` is none of the space, or there is nothing to
            search.
    """

    # Whether other trials, and so `warm_start`, make a difference.
    learns = True
    # How often `suggest` may repeat a point before one is drawn at random.
    attempts = 20

    def __init__(
        self,
        objective: Any = None,
        max_trials: int | None = 10,
        *,
        seed: int | None = None,
        points: Sequence[Mapping[str, Any]] | None = None,
        defaults_first: bool = True,
        warm_start: Any = None,
        hyperparameters: Any = None,
        allow_new_entries: bool = True,
        tune_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
    ) -> None:
        if max_trials is not None:
            max_trials = check_integer(max_trials, "max_trials", minimum=1)
        super().__init__(
            objective=objective,
            max_trials=max_trials,
            hyperparameters=hyperparameters,
            allow_new_entries=allow_new_entries,
            tune_new_entries=tune_new_entries,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        seed = check_seed(seed)
        self.seed = random.randrange(2**31) if seed is None else seed
        self._seed_state = self.seed
        self._rng = np.random.default_rng(self.seed)
        self.defaults_first = check_bool(defaults_first, "defaults_first")
        self.points = _as_points(points)
        if warm_start is not None and not self.learns:
            raise ValueError(
                f"Argument `warm_start` must be None: {type(self).__name__} "
                "does not learn from scores. To try points of another search "
                f"first, pass them as `points`. Received: {warm_start!r}"
            )
        self.warm_start = read_warm_start(
            warm_start, self.objective.name, self.objective.direction
        )
        self._given = [] if hyperparameters is None else self.space.describe()
        self._rejected: list[dict[str, Any]] = []
        self._memo: dict[str, tuple[Space, Any]] = {}
        if not (allow_new_entries and tune_new_entries):
            self.check_space()

    def suggest(self, trial_id: str) -> Mapping[str, Any] | None:
        """Returns the next point: the one method to override.

        Use `self.space`, `self.observations()`, `self.is_tried(values)` and
        `self._rng`, nothing else that is random. It may return a point that
        has been tried (it is asked again, then one is drawn at random) and
        leave out values (they take their defaults).

        Args:
            trial_id: Id of the trial to come.

        Returns:
            Values by name, or `None` where there is nothing more to try.
        """
        raise NotImplementedError

    @property
    def space(self) -> Space:
        """The space as it is known now; it may grow with every trial."""
        known = getattr(self, "_space", None)
        entries = self.hyperparameters.space
        if known is None or known[0] is not entries or known[1] != len(entries):
            self._space = known = (
                entries,
                len(entries),
                Space(self.hyperparameters),
            )
        return known[2]

    @property
    def rejections(self) -> dict[str, int]:
        """How many points were rejected, by reason."""
        return dict(Counter(row["reason"] for row in self._rejected))

    def check_space(self) -> None:
        """Checks that there is something to search and that `points` fit.

        Raises:
            ValueError: If not.
        """
        space = self.space
        if not space.searchable:
            raise ValueError(
                "The search space must hold at least one hyperparameter with "
                "two values or more: ask for it in the build function, as in "
                '`hp.Float("rate", 1e-4, 1e-2, sampling="log")`, or pass '
                "`hyperparameters`. Received: "
                f"{[d.name for d in space.dimensions]}"
            )
        for point in self.points:
            space.check(point, "points")

    def reject(self, values: Mapping[str, Any], reason: str) -> None:
        """Takes back a suggestion that no trial is to be spent on.

        It counts as tried, and samplers that learn avoid its surroundings.

        Args:
            values: The point that `populate_space` has returned.
            reason: What is wrong with it; `rejections` counts by it.
        """
        row = {"values": dict(values), "reason": str(reason)}
        self._rejected.append({**row, "at": len(self.start_order)})

    def is_tried(self, values: Mapping[str, Any]) -> bool:
        """Whether a point has had a trial or was rejected."""
        return self.space.key(values) in self._tried()

    def observations(self) -> list[Observation]:
        """Returns everything to learn from, oldest first.

        The warm start's, then trials in the order of their start with the
        points rejected between them.
        """
        found = [
            self._once(f"warm {i}", self._place, o)
            for i, o in enumerate(self.warm_start)
        ]
        ended, rejected = set(self.end_order), 0
        for i in range(len(self.start_order) + 1):
            while self._is_rejected_before(rejected, i):
                found.append(self._rejection(rejected))
                rejected += 1
            if i < len(self.start_order):
                found.append(self._observe(self.start_order[i], ended))
        return found

    def evaluated(self) -> list[Observation]:
        """Returns the points with a score, in the order of their end."""
        ended = set(self.end_order)
        trials = [self._observe(name, ended) for name in self.end_order]
        return self.warm_start + [o for o in trials if o.state != INFEASIBLE]

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Called by `create_trial`: status and values of the next trial."""
        if not self.space.searchable:
            return self._explore()
        self.check_space()
        values = self._next(trial_id)
        if values is None:
            return {"status": "STOPPED"}
        return {"status": "RUNNING", "values": values}

    def _next(self, trial_id: str) -> Values | None:
        space, tried = self.space, self._tried()
        for values in self._first():
            if space.key(values) not in tried:
                return values
        for _ in range(self.attempts):
            found = self.suggest(trial_id)
            if found is None:
                return None
            values = space.complete(found)
            if space.key(values) not in tried:
                return values
        return space.untried(tried, self._rng)

    def _first(self) -> Iterator[Values]:
        if self.defaults_first:
            yield self.space.defaults()
        for point in self.points:
            yield self.space.check(point, "points")

    def _explore(self) -> dict[str, Any]:
        """A trial with no values, for what its build asks for."""
        statuses = {trial.status for trial in self.trials.values()}
        if "COMPLETED" in statuses:
            self.check_space()
        if self.ongoing_trials:
            return {"status": "IDLE"}
        return {"status": "RUNNING", "values": self.space.defaults()}

    def _tried(self) -> set[Hashable]:
        """Keys of the points that are not to be suggested again."""
        ended, key = set(self.end_order), self.space.key
        found = set()
        for name, trial in self.trials.items():
            values = trial.hyperparameters.values
            if name in ended:
                found.add(self._once(f"key {name}", key, values))
            elif name in self.start_order:
                found.add(key(values))
        for i, row in enumerate(self._rejected):
            values = row["values"]
            found.add(self._once(f"rejected {i}", key, values))
        return found

    def _observe(self, name: str, ended: set[str]) -> Observation:
        trial = self.trials[name]
        if name in ended:
            return self._once(f"trial {name}", self._read_trial, trial)
        values = trial.hyperparameters.values
        return self._place(Observation(values, state=RUNNING))

    def _read_trial(self, trial: Any) -> Observation:
        values = trial.hyperparameters.values
        if trial.status != "COMPLETED":
            return self._place(Observation(values, state=INFEASIBLE))
        score = lower_is_better(trial.score, self.objective.direction)
        if not trial.metrics.exists(STOPPED_METRIC):
            return self._place(Observation(values, score, FINISHED))
        epochs = float(trial.metrics.get_last_value(STOPPED_METRIC))
        return self._place(Observation(values, score, STOPPED, epochs))

    def _is_rejected_before(self, rejected: int, start: int) -> bool:
        rows = self._rejected
        return rejected < len(rows) and rows[rejected]["at"] <= start

    def _rejection(self, i: int) -> Observation:
        point = Observation(self._rejected[i]["values"], state=REJECTED)
        return self._once(f"rejection {i}", self._place, point)

    def _place(self, observation: Observation) -> Observation:
        places = self.space.encode(observation.values)
        return dataclasses.replace(observation, places=places)

    def _once(self, name: str, make: Callable[[Any], Any], of: Any) -> Any:
        """Computes what changes only when the space grows."""
        known = self._memo.get(name)
        if known is None or known[0] is not self.space:
            self._memo[name] = known = (self.space, make(of))
        return known[1]

    def get_state(self) -> dict[str, Any]:
        """Returns the state as JSON holds it."""
        warm = [[o.values, o.score, o.state, o.epochs] for o in self.warm_start]
        return {
            **super().get_state(),
            "random_state": self._rng.bit_generator.state,
            "rejected": self._rejected,
            "warm_start": warm,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes the state that `get_state` has returned."""
        super().set_state(state)
        self._rng = np.random.default_rng()
        self._rng.bit_generator.state = state["random_state"]
        self._rejected = state["rejected"]
        self.warm_start = [Observation(*row) for row in state["warm_start"]]
        self._memo = {}


def _as_points(points: Any) -> list[dict[str, Any]]:
    if points is None:
        return []
    if isinstance(points, Sequence) and not isinstance(points, str):
        if all(isinstance(point, Mapping) for point in points):
            return [dict(point) for point in points]
    raise TypeError(
        "Argument `points` must be a list of dicts of values by name. "
        f"Received: points={points!r}"
    )
