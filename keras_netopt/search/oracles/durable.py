"""An oracle whose project folder is whole at every moment."""

import json
import math
import os
import warnings
from collections.abc import Mapping
from typing import Any

import keras_tuner

from keras_netopt.search.oracles.locking import exclusive
from keras_netopt.search.space import Space
from keras_netopt.search.storage import is_local, read_json, write_json

Trial = keras_tuner.engine.trial.Trial
ENDED = ("COMPLETED", "FAILED")
UNREADABLE = "The file of this trial could not be read."


class DurableOracle(keras_tuner.Oracle):
    """Saves so that a killed search goes on as if it had not been killed.

    A trial begins with the write of `oracle.json` that follows that of its
    `trial.json`, and ends with the write of its `trial.json`: what is on
    disk is rolled back to before the first or forward from the second.
    Subclasses keep nothing that cannot be told from the trials, but what
    `get_state` returns as of the last trial begun.

    Private names of keras-tuner 1.4.8: `_save_trial`, `_get_trial_dir`,
    `_get_oracle_fname`, `_project_dir`, `_check_objective_found`,
    `_record_values`, `_retry_queue` and `_run_times`.
    """

    # What `hyperparameters=` held, as `Space.describe` returns it.
    _given: list[str] = []
    # KerasTuner's: trials that run by worker, and ids that wait for a retry.
    ongoing_trials: dict[str, Any]
    _retry_queue: list[str]

    @exclusive
    def create_trial(self, tuner_id: str) -> Any:
        """Begins a trial, or one that was interrupted from its start."""
        if self._retry_queue and tuner_id not in self.ongoing_trials:
            self.reset_trial(self.trials[self._retry_queue[-1]])
        return super().create_trial(tuner_id)

    @exclusive
    def update_trial(
        self, trial_id: str, metrics: Mapping[str, float], step: int = 0
    ) -> Any:
        """Stores metrics of a trial at a step and returns the trial."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "All-NaN", RuntimeWarning)
            return super().update_trial(trial_id, metrics, step)

    @exclusive
    def end_trial(self, trial: Any) -> None:
        """Ends a trial: scores it, or queues it for another try."""
        super().end_trial(trial)

    def score_trial(self, trial: Any) -> None:
        """Scores a completed trial; NaN throughout is the worst score.

        As long as `max_retries_per_trial` allows another try it is made.
        """
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "All-NaN", RuntimeWarning)
            super().score_trial(trial)
        if not math.isnan(trial.score):
            return
        trial.best_step = 0
        if self._run_times[trial.trial_id] >= self.max_retries_per_trial:
            worst = math.inf if self.objective.direction == "min" else -math.inf
            trial.score = worst
            trial.message = (
                f"{self.objective.name} was NaN at every step: this trial "
                "ranks last."
            )

    def reset_trial(self, trial: Any) -> None:
        """Forgets what an interrupted trial has reported.

        KerasTuner would average it with what the next try reports.
        """
        trial.metrics = type(trial.metrics)()
        trial.score, trial.best_step, trial.message = None, 0, None

    def identity(self) -> dict[str, Any]:
        """What a project folder must have been made with to be resumed."""
        objective = self.objective
        return {
            "oracle": type(self).__name__,
            "objective": [objective.name, objective.direction],
        }

    def get_state(self) -> dict[str, Any]:
        """Returns the state as JSON holds it."""
        return {**super().get_state(), "search": self.identity()}

    def save(self) -> None:
        """Writes `oracle.json` in one step."""
        path = self._get_oracle_fname()
        if is_local(path):
            write_json(path, self.get_state())
        else:
            super().save()

    def _save_trial(self, trial: Any) -> None:
        folder = self._get_trial_dir(trial.trial_id)
        if is_local(folder):
            write_json(os.path.join(folder, "trial.json"), trial.get_state())
        else:
            super()._save_trial(trial)

    def _check_objective_found(self, metrics: Mapping[str, float]) -> None:
        if hasattr(self.objective, "objectives"):  # KerasTuner's sum of some.
            super()._check_objective_found(metrics)
        elif self.objective.name not in metrics:
            raise ValueError(
                f"Every report of a trial must hold the objective "
                f"{self.objective.name!r}. A name that begins with `val_` "
                "needs `validation_data` or `validation_split`; others must "
                "be among the model's metrics. "
                f"Received: metrics={sorted(metrics)}"
            )

    def _record_values(self, trial: Any) -> None:
        """Makes the values of a trial those of its active hyperparameters.

        KerasTuner's own loses the value of a name that stands under two
        conditions, one of which does not hold.
        """
        known = trial.hyperparameters
        names = {entry.name for entry in known.space}
        others = {k: v for k, v in known.values.items() if k not in names}
        known.values = {**Space(known).complete(known.values), **others}

    def reload(self) -> None:
        """Reads a project folder, whenever the search in it was killed.

        Trials that were running will be run again, from their start.

        Raises:
            ValueError: If the folder belongs to another search, or its
                `oracle.json` cannot be read.
        """
        path = self._get_oracle_fname()
        if not is_local(path):
            super().reload()
            return
        state = self._read_state(path)
        # A trial that oracle.json does not know of has never begun.
        self.trials = {name: self._read(name) for name in state["start_order"]}
        self.set_state(state)
        self._settle()

    def _read_state(self, path: str) -> dict[str, Any]:
        remedy = (
            "Remedy: another `project_name`, or `overwrite=True` to give up "
            "what is there. "
        )
        try:
            state = read_json(path)
            search, entries = state.get("search"), state["hyperparameters"]
        except (AttributeError, KeyError, ValueError) as error:
            raise ValueError(
                f"The state of the search cannot be read ({error}); its "
                f"trials are still in their folders. {remedy}"
                f"Received: {path}"
            ) from error
        own = json.loads(json.dumps(self.identity()))
        if search != own:
            folder = os.path.dirname(path)
            learning = (
                f"To learn from its trials, pass `warm_start={folder!r}`. "
                if getattr(self, "learns", False)
                else ""
            )
            raise ValueError(
                f"The project directory belongs to another search: {search} "
                f"made it, this is {own}. {learning}{remedy}"
                f"Received: {path}"
            )
        known = {
            json.dumps([entry["class_name"], entry["config"]], sort_keys=True)
            for entry in entries["space"]
        }
        missing = [entry for entry in self._given if entry not in known]
        if missing:
            raise ValueError(
                "The project directory belongs to another search: its space "
                f"does not hold {missing[0]} of `hyperparameters`. {remedy}"
                f"Received: {path}"
            )
        return state

    def _read(self, trial_id: str) -> Any:
        path = os.path.join(
            self._project_dir, f"trial_{trial_id}", "trial.json"
        )
        try:
            return Trial.from_state(read_json(path))
        except (AttributeError, KeyError, OSError, TypeError, ValueError) as e:
            warnings.warn(
                f"Trial {trial_id} is left out, its file cannot be read "
                f"({e!r}): {path}. All other trials are kept.",
                stacklevel=4,
            )
            space = keras_tuner.HyperParameters()
            return Trial(space, trial_id, "INVALID", UNREADABLE)

    def _settle(self) -> None:
        """Ends what had ended on disk, queues what was running."""
        names = dict.fromkeys(self._retry_queue)
        names.update((t.trial_id, None) for t in self.ongoing_trials.values())
        running = []
        # KerasTuner saves a trial that has ended as one that still runs.
        for name in [name for name in names if name not in self.end_order]:
            trial, waits = self.trials[name], name in self._retry_queue
            ended = trial.status in ENDED
            if not waits and (ended or trial.status == "INVALID"):
                # oracle.json was to be written next.
                self.update_space(trial.hyperparameters)
                self._run_times[name] += 1
            if ended or trial.message == UNREADABLE:
                self.end_order.append(name)
            else:
                running.append(name)
        self.ongoing_trials = {}
        # KerasTuner takes the last one first.
        self._retry_queue = sorted(running, reverse=True)
