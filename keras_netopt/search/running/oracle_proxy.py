"""Adds a stopper, constraints and limits to any oracle of KerasTuner.

Private names of KerasTuner 1.4.8: `Oracle._save_trial` (writes trial.json),
`_get_trial_dir`, `_get_oracle_fname` and `_retry_queue`.
"""

import copy
import os
import threading
import uuid
from collections.abc import Collection
from typing import Any

from keras_netopt.files import is_local
from keras_netopt.search.constraint_checker import ConstraintChecker
from keras_netopt.search.oracles.resumable_oracle import ResumableOracle
from keras_netopt.search.oracles.saved_search import (
    read_search,
    read_trials,
    settle_trials,
)
from keras_netopt.search.running.confirmed_trials import order_confirmed
from keras_netopt.search.running.search_limits import SearchLimits
from keras_netopt.search.running.trial_rank import rank_training
from keras_netopt.search.stoppers import Stopper
from keras_netopt.search.storage import write_json

# Metrics of a trial: epochs trained, and the epoch at which it was stopped.
EPOCHS, STOPPED = "epochs", "stopped_epoch"
# Marks metrics that `HyperModel.fit` returned; it is not stored.
RETURNED = "netopt/returned"
STATE, WRITER = "netopt_search", "writer"
MAX_REJECTIONS = 100

# The methods of the oracle that `OracleProxy` replaces, and why. They are
# replaced on the instance: KerasTuner's own oracles and its chief, which
# serves workers over gRPC, call them too.
REPLACED = {
    "populate_space": "resamples until the constraints hold; ends the search",
    "create_trial": "stores the costs; restarts interrupted trials",
    "update_trial": "accepts metrics of one fold; asks the stopper",
    "end_trial": "completes trials that the stopper has ended",
    "get_best_trials": "ranks trials that were trained longer first",
    "get_state": "adds the state of the stopper and the rejections",
    "set_state": "restores them",
}
# The same for oracles that KerasTuner saves and reloads itself.
REPLACED_IN_OTHERS = {
    "save": "writes atomically",
    "_save_trial": "writes atomically",
    "reload": "names unreadable files; loses no trial that has ended",
}


class OracleProxy:
    """Wraps the methods of an oracle that are listed in `REPLACED`.

    The oracle must not have been reloaded yet. `checker` is `None` without
    constraints.
    """

    def __init__(
        self,
        oracle: Any,
        stopper: Stopper | None,
        checker: ConstraintChecker | None,
        limits: SearchLimits,
    ) -> None:
        if hasattr(oracle, STATE):
            raise ValueError(
                "Argument `oracle` must be a new one for each tuner. "
                f"Received: oracle={oracle!r}, which another tuner uses"
            )
        self.oracle = oracle
        self.stopper = stopper
        self.checker = checker
        self.limits = limits
        self.stopped: set[str] = set()
        self.ran_out_of_candidates = self.is_exhausted = False
        self.guard: Any = None  # A `ProjectGuard` while a search runs.
        self.known_writers: set[str | None] = set()  # Of the states read.
        self._token = uuid.uuid4().hex
        self._costs: dict[str, float] = {}
        self._lock = threading.RLock()
        setattr(oracle, STATE, self)
        others = not isinstance(oracle, ResumableOracle)
        names = [*REPLACED, *(REPLACED_IN_OTHERS if others else ())]
        self._original = {name: getattr(oracle, name) for name in names}
        for name in names:
            setattr(oracle, name, getattr(self, name))

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Samples until the constraints hold."""
        if self.limits.are_reached(self._losses):
            return {"status": "STOPPED"}
        for rejections in range(MAX_REJECTIONS):
            answer = self._original["populate_space"](trial_id)
            values = answer.get("values")
            if self.checker is None:
                self.is_exhausted = answer["status"] == "STOPPED"
                return answer
            if answer["status"] != "RUNNING":
                nothing_fits = self.checker.rejected and not self.oracle.trials
                if answer["status"] == "STOPPED" and (
                    rejections or nothing_fits
                ):  # Every point of the space was tried or rejected.
                    self.ran_out_of_candidates = True
                return answer
            found = self.checker(values or {})
            if not isinstance(found, str):
                self._costs = found
                return answer
            if hasattr(self.oracle, "reject"):
                self.oracle.reject(values, found)
        self.ran_out_of_candidates = True
        return {"status": "STOPPED"}

    def end_reason(self) -> str | None:
        """Returns why no further trial starts, if a limit is the reason."""
        if self.ran_out_of_candidates and self.checker is not None:
            other = "other " if self.oracle.trials else ""
            why = self.checker.explain()
            return f"no {other}candidate meets the constraints; {why}"
        most = self.oracle.max_trials
        if self.is_exhausted and most and len(self.oracle.trials) < most:
            return "the space holds no other configuration"
        return self.limits.reason

    def create_trial(self, tuner_id: str) -> Any:
        """Starts a trial, or restarts one that was interrupted."""
        with self._lock:
            self.keep_project()
            is_running = tuner_id in self.oracle.ongoing_trials
            known = set(self.oracle.trials)
            self._costs = {}
            trial = self._original["create_trial"](tuner_id)
            if trial.status != "RUNNING" or is_running:
                return trial
            if trial.trial_id in known:
                self._restart(trial)
            for name, value in self._costs.items():
                trial.metrics.register(name, direction="min")
                trial.metrics.update(name, value, step=0)
            self.oracle._save_trial(trial)
            return trial

    def _restart(self, trial: Any) -> None:
        """Removes the metrics that a trial has reported."""
        trial.metrics = type(trial.metrics)()
        self.stopped.discard(trial.trial_id)
        if self.stopper is not None:
            self.stopper.reset_trial(trial.trial_id)
        if self.checker is not None:
            found = self.checker(trial.hyperparameters.values)
            self._costs = {} if isinstance(found, str) else found

    def update_trial(self, trial_id: str, metrics: Any, step: int = 0) -> Any:
        """Stores the metrics of one epoch, or the final ones of a trial."""
        with self._lock:
            self.keep_project()
            metrics = dict(metrics)
            is_final = metrics.pop(RETURNED, None) is not None
            if is_final:
                self._rename_epochs(trial_id)
            objective = self.oracle.objective
            values = _select_objectives(objective, metrics)
            if values is None and _unprefix_objectives(objective, metrics):
                trial = self._store_prefixed(trial_id, metrics, step)
            else:
                trial = self._original["update_trial"](trial_id, metrics, step)
            if is_final or EPOCHS in metrics or self.stopper is None:
                return trial
            return self._ask_stopper(trial, metrics, int(step))

    def end_trial(self, trial: Any, *args: Any, **kwargs: Any) -> None:
        """Ends a trial; a stopped trial is completed."""
        with self._lock:
            status = getattr(trial, "status", None)
            trial_id = str(getattr(trial, "trial_id", ""))
            if not self.keep_project() and status == "INVALID":
                self.requeue([trial_id])  # It has lost its files.
                return
            if status == "STOPPED":
                trial.status = "COMPLETED"
            done = trial.status == "COMPLETED"
            if done and self.stopper and trial_id not in self.stopped:
                self.stopper.on_trial_complete(trial_id)
            self._original["end_trial"](trial, *args, **kwargs)

    def keep_project(self) -> bool:
        """Returns whether the files of the search are in place."""
        return self.guard is None or bool(self.guard.keep())

    @property
    def writer(self) -> str:
        """Names this proxy in this process, in the states that it saves."""
        return f"{self._token}-{os.getpid()}"

    def requeue(self, trial_ids: Collection[str]) -> None:
        """Lets running trials, which were interrupted, start again."""
        self.keep_project()
        for name, trial in list(self.oracle.ongoing_trials.items()):
            if trial.trial_id in trial_ids:
                del self.oracle.ongoing_trials[name]
        self.oracle._retry_queue.extend(trial_ids)
        self.oracle.save()

    def save(self) -> None:
        """Writes `oracle.json`."""
        path = self.oracle._get_oracle_fname()
        if is_local(path):
            write_json(path, self.get_state())
        else:
            self._original["save"]()

    def _save_trial(self, trial: Any) -> None:
        folder = self.oracle._get_trial_dir(trial.trial_id)
        if is_local(folder):
            write_json(os.path.join(folder, "trial.json"), trial.get_state())
        else:
            self._original["_save_trial"](trial)

    def reload(self) -> None:
        """Restores the search of a project folder; restarts running trials."""
        path = self.oracle._get_oracle_fname()
        if not is_local(path):
            self._original["reload"]()
            return
        state = read_search(path)
        self.oracle.trials = read_trials(
            os.path.dirname(path), state["start_order"]
        )
        self.set_state(state)
        settle_trials(self.oracle)

    def get_best_trials(self, num_trials: int = 1) -> list[Any]:
        """Ranks completed trials; those that were trained for less come last.

        Those that were trained again with new seeds are first.
        """
        done = self.rank_searched(max(num_trials, len(self.oracle.trials)))
        return order_confirmed(done, self.oracle.objective)[:num_trials]

    def rank_searched(self, num_trials: int) -> list[Any]:
        """Ranks completed trials by the scores of the search alone."""
        done = [
            trial
            for trial in self._original["get_best_trials"](
                max(num_trials, len(self.oracle.trials))
            )
            if trial.status == "COMPLETED"
        ]
        done.sort(key=rank_training)
        return done[:num_trials]

    def store_metric(self, trial_id: str, name: str, value: float) -> None:
        """Adds a metric to a trial that has ended."""
        with self._lock:
            self.keep_project()
            self._store_prefixed(trial_id, {name: value}, 0)

    def get_state(self) -> dict[str, Any]:
        """Returns the state of the oracle and of the proxy."""
        stopper = self.stopper.get_state() if self.stopper else {}
        constraints = self.checker.get_state() if self.checker else {}
        reason, objective = self.end_reason(), self.oracle.objective
        return {
            **self._original["get_state"](),
            STATE: {
                WRITER: self.writer,
                "objective": [objective.name, objective.direction],
                "stopper": stopper,
                "stopped": sorted(self.stopped),
                **constraints,
                **({"end_reason": reason} if reason else {}),
            },
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Restores a saved state."""
        self._original["set_state"](state)
        own = state.get(STATE, {})
        self.known_writers.add(own.get(WRITER))
        if self.checker is not None:
            self.checker.set_state(own)
        self.stopped = set(own.get("stopped", ()))
        if self.stopper is not None and own.get("stopper"):
            self.stopper.set_state(own["stopper"])

    def _rename_epochs(self, trial_id: str) -> None:
        """Keeps the reported epochs apart from the value that is returned.

        KerasTuner scores the best value of a metric; the value that
        `HyperModel.fit` returns is the score, whatever its epochs were.
        """
        metrics = self.oracle.trials[trial_id].metrics.metrics
        for name in _objective_names(self.oracle.objective):
            if name in metrics:
                metrics[f"epoch/{name}"] = metrics.pop(name)

    def _store_prefixed(
        self, trial_id: str, metrics: dict[str, float], step: int
    ) -> Any:
        """Stores metrics such as "fold0/val_loss", which are not the score."""
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

    def _ask_stopper(
        self, trial: Any, metrics: dict[str, float], step: int
    ) -> Any:
        objective = self.oracle.objective
        values = _select_objectives(objective, metrics)
        if values is None:
            values = _unprefix_objectives(objective, metrics)
        value = objective.get_value(values)
        loss = -value if objective.direction == "max" else value
        stopper: Any = self.stopper
        if not stopper.should_stop(trial.trial_id, step + 1, float(loss)):
            return trial
        self.stopped.add(trial.trial_id)
        if not trial.metrics.exists(STOPPED):
            trial.metrics.register(STOPPED, direction="max")
        trial.metrics.update(STOPPED, step + 1, step=step)
        self.oracle._save_trial(trial)
        answer = copy.copy(trial)
        answer.status = "STOPPED"
        return answer

    def _losses(self) -> list[float]:
        """Scores in the order in which trials ended, lower is better."""
        sign = -1.0 if self.oracle.objective.direction == "max" else 1.0
        ended = [self.oracle.trials[name] for name in self.oracle.end_order]
        return [
            sign * trial.score for trial in ended if trial.score is not None
        ]


def _objective_names(objective: Any) -> list[str]:
    return list(getattr(objective, "name_to_direction", [objective.name]))


def _select_objectives(
    objective: Any, metrics: dict[str, float]
) -> dict[str, float] | None:
    names = _objective_names(objective)
    if all(name in metrics for name in names):
        return {name: metrics[name] for name in names}
    return None


def _unprefix_objectives(
    objective: Any, metrics: dict[str, float]
) -> dict[str, float]:
    """Returns the objectives among metrics such as "fold0/val_loss"."""
    wanted = _objective_names(objective)
    return {
        name.rpartition("/")[2]: value
        for name, value in metrics.items()
        if "/" in name and name.rpartition("/")[2] in wanted
    }
