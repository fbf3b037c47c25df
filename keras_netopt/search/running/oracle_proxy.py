"""Adds a stopper, constraints and limits to any oracle of KerasTuner.

The oracle's own methods are wrapped on the object, so that they also hold for
oracles of KerasTuner and where a chief serves workers.
Private names of KerasTuner 1.4.8: `Oracle._save_trial` (writes trial.json).
"""

import copy
import threading
from collections.abc import Callable
from typing import Any

from keras_netopt.search.running.search_limits import SearchLimits
from keras_netopt.search.stoppers import Stopper

EPOCHS, STOPPED = "epochs", "stopped_epoch"
STATE = "netopt_watch"
REJECTIONS = 100

# Costs of a candidate by name, or the reason why it is refused.
Judge = Callable[[dict[str, Any]], dict[str, float] | str]


class OracleProxy:
    """Stands between an oracle and those who ask it.

    Args:
        oracle: A KerasTuner oracle, not yet reloaded.
        stopper: Ends trials early, or `None`.
        judge: Tells what the values of a trial cost, or why they are out of
            bounds; `None` where nothing is bounded.
        limits: Of the whole search.
    """

    def __init__(
        self,
        oracle: Any,
        stopper: Stopper | None,
        judge: Judge | None,
        limits: SearchLimits,
    ) -> None:
        if hasattr(oracle, STATE):
            raise ValueError(
                "Argument `oracle` must be a fresh one for each tuner. "
                f"Received: oracle={oracle!r}, which another tuner has"
            )
        self.oracle = oracle
        self.stopper = stopper
        self.judge = judge
        self.limits = limits
        self.rejected: dict[str, int] = {}
        self.stopped: set[str] = set()
        self.gave_up = False
        self._costs: dict[str, float] = {}
        self._lock = threading.RLock()
        self._asked: dict[str, Callable[..., Any]] = {}
        setattr(oracle, STATE, self)
        for name in (
            "populate_space",
            "create_trial",
            "update_trial",
            "end_trial",
            "get_state",
            "set_state",
            "get_best_trials",
        ):
            self._asked[name] = getattr(oracle, name)
            setattr(oracle, name, getattr(self, name))

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Draws until the constraints hold."""
        if self.limits.are_reached(self._scores()):
            return {"status": "STOPPED"}
        most = getattr(self.oracle, "max_rejections", REJECTIONS)
        for _ in range(most):
            answer = self._asked["populate_space"](trial_id)
            values = answer.get("values")
            if answer["status"] != "RUNNING" or self.judge is None:
                return answer
            found = self.judge(values or {})
            if not isinstance(found, str):
                self._costs = found
                return answer
            self.rejected[found] = self.rejected.get(found, 0) + 1
            if hasattr(self.oracle, "reject"):
                self.oracle.reject(values, found)
        self.gave_up = True
        return {"status": "STOPPED"}

    def why_it_ended(self) -> str | None:
        """Says why no further trial begins, where it was decided here."""
        if self.gave_up:
            explain = getattr(self.judge, "explain", str)
            return (
                f"no candidate keeps the constraints; {explain(self.rejected)}"
            )
        return self.limits.reason

    def create_trial(self, tuner_id: str) -> Any:
        """Starts a trial, or one that a crash cut off from its beginning."""
        with self._lock:
            goes_on = tuner_id in self.oracle.ongoing_trials
            known = set(self.oracle.trials)
            self._costs = {}
            trial = self._asked["create_trial"](tuner_id)
            if trial.status != "RUNNING" or goes_on:
                return trial
            if trial.trial_id in known:
                self._restart(trial)
            for name, value in self._costs.items():
                trial.metrics.register(name, direction="min")
                trial.metrics.update(name, value, step=0)
            self.oracle._save_trial(trial)
            return trial

    def _restart(self, trial: Any) -> None:
        """Takes back what a trial has reported."""
        trial.metrics = type(trial.metrics)()
        self.stopped.discard(trial.trial_id)
        if self.stopper is not None:
            self.stopper.forget(trial.trial_id)
        if self.judge is not None:
            found = self.judge(trial.hyperparameters.values)
            self._costs = {} if isinstance(found, str) else found

    def update_trial(self, trial_id: str, metrics: Any, step: int = 0) -> Any:
        """Takes a report of an epoch, or the last one of a trial."""
        with self._lock:
            metrics = dict(metrics)
            values = _objectives(self.oracle.objective, metrics)
            if values is None and _parts(metrics, self.oracle.objective):
                trial = self._note(trial_id, metrics, step)
            else:
                trial = self._asked["update_trial"](trial_id, metrics, step)
            if EPOCHS in metrics or self.stopper is None:
                return trial
            return self._decide(trial, metrics, int(step))

    def end_trial(self, trial: Any, *args: Any, **kwargs: Any) -> None:
        """Ends a trial; a stopped one has ended well, too."""
        with self._lock:
            if getattr(trial, "status", None) == "STOPPED":
                trial.status = "COMPLETED"
            done = getattr(trial, "status", None) == "COMPLETED"
            trial_id = str(getattr(trial, "trial_id", ""))
            if done and self.stopper and trial_id not in self.stopped:
                self.stopper.finish(trial_id)
            self._asked["end_trial"](trial, *args, **kwargs)

    def get_best_trials(self, num_trials: int = 1) -> list[Any]:
        """Ranks finished trials before stopped ones; others are left out."""
        done = [
            trial
            for trial in self._asked["get_best_trials"](
                max(num_trials, len(self.oracle.trials))
            )
            if trial.status == "COMPLETED"
        ]
        done.sort(key=lambda trial: trial.metrics.exists(STOPPED))
        return done[:num_trials]

    def get_state(self) -> dict[str, Any]:
        """Returns the oracle's state and what is added here."""
        stopper = self.stopper.get_state() if self.stopper else {}
        return {
            **self._asked["get_state"](),
            STATE: {
                "stopper": stopper,
                "rejected": self.rejected,
                "stopped": sorted(self.stopped),
            },
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on from a saved state."""
        self._asked["set_state"](state)
        own = state.get(STATE, {})
        self.rejected = dict(own.get("rejected", {}))
        self.stopped = set(own.get("stopped", ()))
        if self.stopper is not None and own.get("stopper"):
            self.stopper.set_state(own["stopper"])

    def _note(self, trial_id: str, metrics: dict[str, float], step: int) -> Any:
        """Adds what belongs to one fold, of which the score is a part."""
        trial = self.oracle.trials[trial_id]
        objective = self.oracle.objective
        directions = getattr(objective, "name_to_direction", {})
        for name, value in metrics.items():
            if not trial.metrics.exists(name):
                plain = name.rpartition("/")[2]
                direction = directions.get(plain, objective.direction)
                trial.metrics.register(name, direction=direction)
            trial.metrics.update(name, value, step=step)
        self.oracle._save_trial(trial)
        return trial

    def _decide(self, trial: Any, metrics: dict[str, float], step: int) -> Any:
        objective = self.oracle.objective
        values = _objectives(objective, metrics)
        if values is None:
            values = _parts(metrics, objective)
        value = objective.get_value(values)
        loss = -value if objective.direction == "max" else value
        stopper: Any = self.stopper
        if not stopper.report(trial.trial_id, step + 1, float(loss)):
            return trial
        self.stopped.add(trial.trial_id)
        if not trial.metrics.exists(STOPPED):
            trial.metrics.register(STOPPED, direction="max")
        trial.metrics.update(STOPPED, step + 1, step=step)
        self.oracle._save_trial(trial)
        answer = copy.copy(trial)
        answer.status = "STOPPED"
        return answer

    def _scores(self) -> list[float]:
        """Scores in the order in which trials ended, lower is better."""
        sign = -1.0 if self.oracle.objective.direction == "max" else 1.0
        ended = [self.oracle.trials[name] for name in self.oracle.end_order]
        return [
            sign * trial.score for trial in ended if trial.score is not None
        ]


def _names(objective: Any) -> list[str]:
    return list(getattr(objective, "name_to_direction", [objective.name]))


def _objectives(
    objective: Any, metrics: dict[str, float]
) -> dict[str, float] | None:
    names = _names(objective)
    if all(name in metrics for name in names):
        return {name: metrics[name] for name in names}
    return None


def _parts(metrics: dict[str, float], objective: Any) -> dict[str, float]:
    """The objectives among metrics like "fold0/val_loss"."""
    wanted = _names(objective)
    return {
        name.rpartition("/")[2]: value
        for name, value in metrics.items()
        if "/" in name and name.rpartition("/")[2] in wanted
    }
