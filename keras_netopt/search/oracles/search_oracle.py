"""The base class of the oracles."""

import dataclasses
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from keras_netopt.checks import (
    check_bool,
    check_integer,
    check_seed,
    check_truth,
)
from keras_netopt.search.oracles.observations import (
    FINISHED,
    INFEASIBLE,
    REJECTED,
    RUNNING,
    STOPPED,
    STOPPED_METRIC,
    Observation,
    to_loss,
)
from keras_netopt.search.oracles.oracle_arguments import (
    as_points,
    check_hyperparameters,
    check_objective,
)
from keras_netopt.search.oracles.resumable_oracle import ResumableOracle
from keras_netopt.search.oracles.rung_values import read_curve
from keras_netopt.search.oracles.settled_trials import (
    SettledTrials,
    TriedPoints,
)
from keras_netopt.search.oracles.warm_start import read_warm_start
from keras_netopt.search.search_space import SearchSpace, Values


class SearchOracle(ResumableOracle):
    """Base class of oracles: subclasses override `suggest`.

    The base class evaluates the default values and `initial_points` first,
    never repeats a point, ends the search when the space is exhausted, and
    makes the search reproducible by its seed. An interrupted search resumes
    exactly: the state of an oracle is its trials and the state of its random
    generator.

    Example:

    >>> import keras_tuner
    >>> from keras_netopt.search import SearchOracle
    >>> class MidpointOracle(SearchOracle):
    ...     def suggest(self, trial_id):
    ...         return self.space.fill(lambda dimension: dimension.value(0.5))
    >>> hp = keras_tuner.HyperParameters()
    >>> _ = hp.Float("rate", 0.0, 1.0)
    >>> oracle = MidpointOracle("val_loss", 3, hyperparameters=hp)
    >>> oracle.populate_space("0")["values"]  # The defaults are first.
    {'rate': 0.0}

    Args:
        objective: Metric to optimize: a name, or a `keras_tuner.Objective`
            with a direction if the name does not imply one. Defaults to
            `None`: the float that `HyperModel.fit` or `run_trial` returns,
            lower is better.
        max_trials: Maximum number of trials; `None` is no limit. Defaults to
            `10`.
        seed: An integer of at least 0. Defaults to `None`: a random seed.
        initial_points: Points to evaluate first, a list of dicts of values by
            name; missing values take their defaults. Defaults to `None`.
        defaults_first: Whether the first trial has all defaults, as it always
            has if the space is unknown before the first build. Defaults to
            `True`.
        warm_start: Results of another search to learn from: its project
            folder, or a list of `(values, score)`. They do not count as
            trials. Defaults to `None`.
        hyperparameters: A `keras_tuner.HyperParameters` whose entries replace
            those of the same name in `build`. Defaults to `None`.
        allow_new_entries: Whether `build` may define hyperparameters that are
            not in `hyperparameters`. Defaults to `True`.
        tune_new_entries: Whether those are searched; else they keep their
            defaults. Defaults to `True`.
        max_retries_per_trial: Retries of a trial that raises or whose
            objective is NaN. Defaults to `0`.
        max_consecutive_failed_trials: Consecutive failed trials that end the
            search with an error. Defaults to `3`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range; when the search begins,
            if one of `initial_points` is not in the space.
    """

    # Arguments that the method has no use for.
    unsupported: tuple[str, ...] = ()
    # Suggestions that may repeat a point before a random one is taken.
    attempts = 20
    # What was read from the trials so far, by observation of a trial the space
    # with which it was made.
    _keys: TriedPoints | None = None
    _settled: SettledTrials | None = None
    _scored: SettledTrials | None = None
    _memo: dict[str, tuple[SearchSpace, Observation]]

    def __init__(
        self,
        objective: Any = None,
        max_trials: int | None = 10,
        *,
        seed: int | None = None,
        initial_points: Sequence[Mapping[str, Any]] | None = None,
        defaults_first: bool = True,
        warm_start: Any = None,
        hyperparameters: Any = None,
        allow_new_entries: bool = True,
        tune_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
    ) -> None:
        check_objective(objective, type(self).__name__)
        check_hyperparameters(hyperparameters)
        if max_trials is not None:
            max_trials = check_integer(max_trials, "max_trials", minimum=1)
        given = {
            "objective": objective,
            "hyperparameters": hyperparameters,
            "allow_new_entries": check_truth(
                allow_new_entries, "allow_new_entries"
            ),
            "tune_new_entries": check_truth(
                tune_new_entries, "tune_new_entries"
            ),
            "max_retries_per_trial": max_retries_per_trial,
            "max_consecutive_failed_trials": max_consecutive_failed_trials,
        }
        try:
            super().__init__(max_trials=max_trials, **given)
        except (TypeError, ValueError) as error:
            shown = ", ".join(f"{name}={one!r}" for name, one in given.items())
            raise type(error)(f"{error} Received: {shown}") from error
        seed = check_seed(seed)
        self.seed = random.randrange(2**31) if seed is None else seed
        self._seed_state = self.seed
        self._rng = np.random.default_rng(self.seed)
        self.defaults_first = check_bool(defaults_first, "defaults_first")
        self.initial_points = as_points(initial_points)
        if warm_start is not None and "warm_start" in self.unsupported:
            raise ValueError(
                f"Argument `warm_start` must be None: {type(self).__name__} "
                "does not learn from scores. To evaluate points of another "
                "search first, pass them as `initial_points`. "
                f"Received: warm_start={warm_start!r}"
            )
        self.warm_start = read_warm_start(
            warm_start, self.objective.name, self.objective.direction
        )
        self._given = [] if hyperparameters is None else self.space.describe()
        self._rejected: list[dict[str, Any]] = []
        self._forget()
        if not (allow_new_entries and tune_new_entries):
            self.check_space()

    def suggest(self, trial_id: str) -> Mapping[str, Any] | None:
        """Returns the next point; subclasses override this method.

        Use `self.space`, `self.observations()`, `self.is_tried(values)` and,
        as the only source of randomness, `self._rng`. After a point that has
        been tried the method is called again, and finally a random point is
        taken. Missing values take their defaults.

        Args:
            trial_id: Id of the next trial.

        Returns:
            Values by name, or `None` to end the search.
        """
        raise NotImplementedError

    @property
    def space(self) -> SearchSpace:
        """The known search space; it may grow with every trial."""
        known = getattr(self, "_space", None)
        entries = self.hyperparameters.space
        if known is None or known[0] is not entries or known[1] != len(entries):
            self._space = known = (
                entries,
                len(entries),
                SearchSpace(self.hyperparameters),
            )
        return known[2]

    @property
    def rejections(self) -> dict[str, int]:
        """Number of rejected points by reason."""
        return dict(Counter(row["reason"] for row in self._rejected))

    def check_space(self) -> None:
        """Checks that the space holds `initial_points`."""
        for point in self.initial_points:
            self.space.check(point, "initial_points")

    def reject(self, values: Mapping[str, Any], reason: str) -> None:
        """Rejects a point that `populate_space` has returned, without a trial.

        The point counts as tried; model-based samplers count it as a bad one.
        `rejections` counts by reason.
        """
        row = {"values": dict(values), "reason": str(reason)}
        self._rejected.append({**row, "at": len(self.start_order)})

    def is_tried(self, values: Mapping[str, Any]) -> bool:
        """Returns whether a point had a trial or was rejected."""
        return self.space.key(values) in self._tried()

    def observations(self) -> list[Observation]:
        """Returns the observations of all points, oldest first.

        Those of `warm_start`, then the trials in the order of their start,
        with the rejected points in between.
        """
        ended, names = set(self.end_order), self.start_order
        known = self._settled
        if known is None or known.space is not self.space:
            warm = [self._place(one) for one in self.warm_start]
            self._settled = known = SettledTrials(self.space, warm)
        running = known.trials
        while running < len(names) and names[running] in ended:
            running += 1
        how = (self._rejected, self._place_rejected)
        known.extend(self._read_trial, names[known.trials : running], *how)
        whole = known.copy()
        whole.extend(lambda n: self._observe(n, ended), names[running:], *how)
        whole.add_rejections(*how)
        return whole.found

    def evaluated(self) -> list[Observation]:
        """Returns the observations with a score, in the order of their end."""
        known = self._scored
        if known is None or known.space is not self.space:
            self._scored = known = SettledTrials(
                self.space, list(self.warm_start)
            )
        for name in self.end_order[known.trials :]:
            known.trials += 1
            if (found := self._read_trial(name)).state != INFEASIBLE:
                known.found.append(found)
        return list(known.found)

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Returns status and values of the next trial for `create_trial`."""
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
        for point in self.initial_points:
            yield self.space.check(point, "initial_points")

    def _explore(self) -> dict[str, Any]:
        """Starts a trial that discovers the hyperparameters of `build`.

        If it finds nothing to search, it is the only one.
        """
        statuses = {trial.status for trial in self.trials.values()}
        if "COMPLETED" in statuses:
            self.check_space()
            return {"status": "STOPPED"}
        if self.ongoing_trials:
            return {"status": "IDLE"}
        return {"status": "RUNNING", "values": self.space.defaults()}

    def _tried(self) -> TriedPoints:
        """Returns the keys of the points that must not be repeated."""
        known = self._keys
        if known is None or known.space is not self.space:
            self._keys = known = TriedPoints(self.space)
        known.extend(
            [self._values(name) for name in self.end_order[known.trials :]],
            [row["values"] for row in self._rejected[known.rejections :]],
        )
        waiting = [*self._retry_queue]
        waiting += [t.trial_id for t in self.ongoing_trials.values()]
        known.running = {self.space.key(self._values(name)) for name in waiting}
        return known

    def _values(self, name: str) -> Values:
        values: Values = self.trials[name].hyperparameters.values
        return values

    def _observe(self, name: str, ended: set[str]) -> Observation:
        if name in ended:
            return self._read_trial(name)
        return self._place(Observation(self._values(name), state=RUNNING))

    def _read_trial(self, name: str) -> Observation:
        """Returns the observation of an ended trial."""
        known = self._memo.get(name)
        if known is None or known[0] is not self.space:
            found = self._place(self._read_ended(self.trials[name]))
            self._memo[name] = known = (self.space, found)
        return known[1]

    def _read_ended(self, trial: Any) -> Observation:
        values = trial.hyperparameters.values
        if trial.status != "COMPLETED":
            return Observation(values, state=INFEASIBLE)
        name, direction = self.objective.name, self.objective.direction
        score = to_loss(trial.score, direction)
        curve = read_curve(trial.metrics, name, direction)
        if not trial.metrics.exists(STOPPED_METRIC):
            return Observation(values, score, FINISHED, curve=curve)
        epochs = float(trial.metrics.get_last_value(STOPPED_METRIC))
        return Observation(values, score, STOPPED, epochs, curve)

    def _place(self, observation: Observation) -> Observation:
        places = self.space.encode(observation.values)
        return dataclasses.replace(observation, places=places)

    def _place_rejected(self, values: Mapping[str, Any]) -> Observation:
        return self._place(Observation(values, state=REJECTED))

    def _forget(self) -> None:
        """Drops what was read from the trials, before others replace them."""
        self._keys = self._settled = self._scored = None
        self._memo = {}

    def get_state(self) -> dict[str, Any]:
        """Returns the JSON-safe state."""
        warm = [
            [o.values, o.score, o.state, o.epochs, o.curve]
            for o in self.warm_start
        ]
        return {
            **super().get_state(),
            "random_state": self._rng.bit_generator.state,
            "rejected": self._rejected,
            "warm_start": warm,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Restores a state of `get_state`."""
        super().set_state(state)
        self._rng = np.random.default_rng()
        self._rng.bit_generator.state = state["random_state"]
        self._rejected = state["rejected"]
        self.warm_start = [Observation(*row) for row in state["warm_start"]]
        self._forget()
