"""Hyperband and BOHB."""

import itertools
from typing import Any

from keras_netopt.checks import check_integer, check_probability
from keras_netopt.search.oracles.hyperband_budget import Rung, hyperband_budget
from keras_netopt.search.oracles.observations import (
    FINISHED,
    INFEASIBLE,
    REJECTED,
    STOPPED,
    Observation,
)
from keras_netopt.search.oracles.promoted_trials import join_promoted
from keras_netopt.search.oracles.saved_search import REMEDY
from keras_netopt.search.oracles.search_oracle import SearchOracle
from keras_netopt.search.oracles.tpe_oracle import TPEOracle
from keras_netopt.search.search_space import Values

KEYS = ("iteration", "bracket", "round", "epochs", "initial_epoch", "trial_id")
ITERATION, BRACKET, ROUND, EPOCHS, INITIAL_EPOCH, PARENT = (
    f"tuner/{key}" for key in KEYS
)


# More epochs have more rungs than are worth a search.
MOST_EPOCHS = 10**9


class HyperbandOracle(SearchOracle):
    """Hyperband: starts many short trials and continues the best of them.

    Needs a tuner that follows `tuner/epochs` and the other values that the
    oracle sets: a tuner of this package, which continues a promoted trial
    with its weights, optimizer state and epoch. `keras_tuner.Tuner` trains
    every trial in full; that is an error when the first trial ends.

    With `sampler=TPEOracle(...)` this is BOHB: points are suggested by TPE,
    which compares the configurations after the most epochs that enough of
    them have reached. A promoted trial counts at each rung that it has passed.

    Example:

    >>> from keras_netopt.search import HyperbandOracle
    >>> oracle = HyperbandOracle("val_loss", max_epochs=81)
    >>> oracle.budget.epochs, [r.trials for r in oracle.budget.rungs[:5]]
    (1581, [81, 27, 9, 3, 1])

    Args:
        objective: As in `SearchOracle`.
        max_epochs: Maximum epochs of a trial. Defaults to `100`.
        factor: Reduction factor: one in `factor` trials of a rung is
            promoted, and trained for `factor` times the epochs. At least 2.
            Defaults to `3`.
        hyperband_iterations: Repetitions of all brackets. With more of them
            than a project folder has, its search goes on. Defaults to `1`.
        sampler: A `TPEOracle` that suggests the points (BOHB), by its own
            arguments and not those of `SearchOracle`. Defaults to `None`:
            random points.
        random_fraction: Fraction of random points with a `sampler`, in
            [0, 1]. Defaults to `1 / 3`.
        **options: Other arguments of `SearchOracle`, without `warm_start` and
            `max_trials`, which follows from the brackets.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or the tuner ignores
            `tuner/epochs`.

    Reference:
        Li et al. 2018, *Hyperband*, JMLR 18: its symbols for `max_epochs` and
        `factor` are R and η. Falkner et al. 2018, *BOHB*, arXiv 1807.01774.
    """

    unsupported = ("max_trials", "warm_start")
    extendable = ("hyperband_iterations",)
    # The first trials by bracket, their number, and the complete brackets.
    _brackets: dict[tuple[int, int], dict[int, list[str]]]
    _placed = 0
    _complete: set[tuple[int, int]]

    def __init__(
        self,
        objective: Any = None,
        max_epochs: int = 100,
        *,
        factor: int = 3,
        hyperband_iterations: int = 1,
        sampler: TPEOracle | None = None,
        random_fraction: float = 1 / 3,
        **options: Any,
    ) -> None:
        self.max_epochs = check_integer(max_epochs, "max_epochs", minimum=1)
        if self.max_epochs > MOST_EPOCHS:
            raise ValueError(
                f"Argument `max_epochs` must be at most {MOST_EPOCHS:,}. "
                f"Received: max_epochs={max_epochs!r}"
            )
        self.factor = check_integer(factor, "factor", minimum=2)
        self.hyperband_iterations = check_integer(
            hyperband_iterations, "hyperband_iterations", minimum=1
        )
        if sampler is not None and not isinstance(sampler, TPEOracle):
            raise TypeError(
                "Argument `sampler` must be a `TPEOracle` or None. "
                f"Received: sampler={sampler!r}"
            )
        self.sampler = sampler
        self.random_fraction = check_probability(
            random_fraction, "random_fraction"
        )
        self.budget = hyperband_budget(
            self.max_epochs, self.factor, self.hyperband_iterations
        )
        super().__init__(objective, None, **options)

    def suggest(self, trial_id: str) -> Values | None:
        """Returns a new point for the first rung of a bracket."""
        sampler = self.sampler
        learned = [] if sampler is None else self._configurations()
        is_random = not learned or self._rng.random() < self.random_fraction
        if sampler is None or is_random:
            return self.space.random(self._rng)
        tried, key = self._tried(), self.space.key
        return sampler.propose(
            self.space,
            learned,
            self._rng,
            lambda v: key(v) in tried,
            least=len(self.space.searchable) + 1,
        )

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Promotes a trial of a complete rung, or starts a new one."""
        if self.verbose and not self.start_order:
            print(self.budget)
        self._exhausted, waits = False, False
        members, ended = self._members(), set(self.end_order)
        for iteration in range(self.hyperband_iterations):
            for bracket, rungs in itertools.groupby(
                self.budget.rungs, key=lambda rung: rung.bracket
            ):
                place = (iteration, bracket)
                if place in self._complete:
                    continue
                found = self._advance(
                    trial_id, members.get(place, {}), list(rungs), ended
                )
                if found["status"] == "STOPPED" and not self._exhausted:
                    self._complete.add(place)
                if found["status"] == "RUNNING":
                    found["values"][ITERATION] = iteration
                    return found
                waits = waits or found["status"] == "IDLE"
        idle = waits and self.ongoing_trials
        return {"status": "IDLE" if idle else "STOPPED"}

    def end_trial(self, trial: Any) -> None:
        """Ends a trial; checks that it was trained for its epochs."""
        known = self.trials[trial.trial_id]
        name = self.objective.name
        epochs = int(known.hyperparameters.values.get(EPOCHS, 0))
        if epochs and known.metrics.exists(name):
            last = known.metrics.get_history(name)[-1].step
            if last >= epochs:  # Steps count from 0.
                raise ValueError(
                    "`HyperbandOracle` needs a tuner that trains each trial "
                    "for its `tuner/epochs`; `keras_tuner.Tuner` does not. "
                    "Use `keras_netopt.search.Hyperband(build, ...)`. "
                    f"Received: epoch {last + 1} of a trial with "
                    f"tuner/epochs={epochs}"
                )
        super().end_trial(trial)

    def reload(self) -> None:
        """Restores a search, also for more iterations than it had."""
        super().reload()
        last = max((place[0] for place in self._members()), default=0)
        if last >= self.hyperband_iterations:
            raise ValueError(
                "Argument `hyperband_iterations` must be at least the number "
                f"of iterations that the project folder has begun, {last + 1}."
                f" {REMEDY}"
                f"Received: hyperband_iterations={self.hyperband_iterations}"
            )

    def identity(self) -> dict[str, Any]:
        """Returns the settings that must not change on resume."""
        own = {
            "max_epochs": self.max_epochs,
            "factor": self.factor,
            "hyperband_iterations": self.hyperband_iterations,
        }
        return {**super().identity(), **own}

    def _advance(
        self,
        trial_id: str,
        members: dict[int, list[str]],
        rungs: list[Rung],
        ended: set[str],
    ) -> dict[str, Any]:
        """Returns the next trial of a bracket, if it has one now."""
        before: list[str] = []
        for rung in rungs:
            here = members.get(rung.round, [])
            if rung.round == 0:
                if len(here) < rung.trials and not self._exhausted:
                    found = super().populate_space(trial_id)
                    if found["status"] != "STOPPED":
                        return _label(found, rung)
                    self._exhausted = True
            else:
                best = self._promotable(before, members, rung, ended)
                if best:
                    values = self.trials[best[0]].hyperparameters.values
                    values = {**values, PARENT: best[0]}
                    return _label({"status": "RUNNING", "values": values}, rung)
            if rung is not rungs[-1] and not ended.issuperset(here):
                return {"status": "IDLE"}
            before = here
        return {"status": "STOPPED"}

    def _promotable(
        self,
        before: list[str],
        members: dict[int, list[str]],
        rung: Rung,
        ended: set[str],
    ) -> list[str]:
        """Returns the trials to promote, best first."""
        seen = {name: self._observe(name, ended) for name in before}
        able = [name for name in before if seen[name].state != INFEASIBLE]
        able.sort(key=lambda name: seen[name].rank)
        gone = {
            self.trials[name].hyperparameters.values[PARENT]
            for name in members.get(rung.round, [])
        }
        return [name for name in able[: rung.trials] if name not in gone]

    def _members(self) -> dict[tuple[int, int], dict[int, list[str]]]:
        """Returns the trials by iteration and bracket, then by round."""
        for name in self.start_order[self._placed :]:
            values = self._values(name)
            if ROUND in values:
                place = values[ITERATION], values[BRACKET]
                rounds = self._brackets.setdefault(place, {})
                rounds.setdefault(values[ROUND], []).append(name)
        self._placed = len(self.start_order)
        return self._brackets

    def _forget(self) -> None:
        super()._forget()
        self._brackets, self._placed, self._complete = {}, 0, set()

    def _configurations(self) -> list[Observation]:
        """Returns one observation per configuration, if there are enough."""
        every, names = self.observations(), iter(self.start_order)
        joined = join_promoted(
            [
                (i if o.state == REJECTED else next(names), o)
                for i, o in enumerate(every)
            ],
            self.max_epochs,
        )
        ended = sum(o.state in (FINISHED, STOPPED) for o in joined)
        return joined if ended >= len(self.space.searchable) + 2 else []


def _label(found: dict[str, Any], rung: Rung) -> dict[str, Any]:
    """Adds the rung and the epochs of a trial to its values."""
    if found["status"] == "RUNNING":
        found["values"] = {
            **found["values"],
            BRACKET: rung.bracket,
            ROUND: rung.round,
            EPOCHS: rung.epochs,
            INITIAL_EPOCH: rung.initial_epoch,
        }
    return found
