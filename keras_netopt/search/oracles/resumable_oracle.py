"""An oracle that resumes after a kill at any moment."""

import json
import math
import os
import warnings
from collections.abc import Mapping
from typing import Any

import keras_tuner

from keras_netopt.files import is_local
from keras_netopt.search.growing_json import GrowingJson
from keras_netopt.search.oracles.locking import synchronized_method
from keras_netopt.search.oracles.saved_search import (
    REMEDY,
    read_search,
    read_trials,
    settle_trials,
)
from keras_netopt.search.search_space import SearchSpace
from keras_netopt.search.storage import write_text


class ResumableOracle(keras_tuner.Oracle):
    """Saves every state atomically, so that a killed search resumes exactly.

    A trial begins when `oracle.json` is written after its `trial.json`, and
    ends when its `trial.json` is written: `reload` rolls an incomplete begin
    back and completes an incomplete end. The state of a subclass must follow
    from its trials and from `get_state` at the start of the last trial.

    Private names of keras-tuner 1.4.8: `_save_trial`, `_get_trial_dir`,
    `_get_oracle_fname`, `_project_dir`, `_check_objective_found`,
    `_check_consecutive_failures`, `_record_values`, `_retry_queue` and
    `_run_times`.
    """

    # Settings of `identity` with which a longer search may go on.
    extendable: tuple[str, ...] = ()
    # The entries of `hyperparameters=`, as in `SearchSpace.describe`.
    _given: list[str] = []
    # KerasTuner's: running trials by worker, and ids to retry.
    ongoing_trials: dict[str, Any]
    _retry_queue: list[str]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._json = GrowingJson()  # Of thousands of trials, at each trial.

    @synchronized_method
    def create_trial(self, tuner_id: str) -> Any:
        """Starts a trial, or restarts an interrupted one."""
        if self._retry_queue and tuner_id not in self.ongoing_trials:
            self.reset_trial(self.trials[self._retry_queue[-1]])
        return super().create_trial(tuner_id)

    @synchronized_method
    def update_trial(
        self, trial_id: str, metrics: Mapping[str, float], step: int = 0
    ) -> Any:
        """Stores metrics of a trial at a step and returns the trial."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "All-NaN", RuntimeWarning)
            return super().update_trial(trial_id, metrics, step)

    @synchronized_method
    def end_trial(self, trial: Any) -> None:
        """Ends a trial: scores it, or queues it for a retry."""
        super().end_trial(trial)

    def score_trial(self, trial: Any) -> None:
        """Scores a completed trial; NaN at every step is the worst score.

        The trial is retried first if `max_retries_per_trial` allows it.
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
        """Removes the metrics of an interrupted trial.

        KerasTuner would average them with the metrics of the retry.
        """
        trial.metrics = type(trial.metrics)()
        trial.score, trial.best_step, trial.message = None, 0, None

    def identity(self) -> dict[str, Any]:
        """Returns the settings that must not change on resume."""
        objective = self.objective
        return {
            "oracle": type(self).__name__,
            "objective": [objective.name, objective.direction],
        }

    def get_state(self) -> dict[str, Any]:
        """Returns the JSON-safe state."""
        # KerasTuner's set of tried values is that of the trials' hashes.
        state = {**super().get_state(), "tried_so_far": []}
        return {**state, "search": self.identity()}

    def save(self) -> None:
        """Writes `oracle.json` atomically."""
        path = self._get_oracle_fname()
        if is_local(path):
            write_text(path, self._json.encode(self.get_state()))
        else:
            super().save()

    def _save_trial(self, trial: Any) -> None:
        folder = self._get_trial_dir(trial.trial_id)
        if is_local(folder):
            path = os.path.join(folder, "trial.json")
            is_done = trial.status != "RUNNING"  # Not after each epoch.
            write_text(path, json.dumps(trial.get_state()), sync=is_done)
        else:
            super()._save_trial(trial)

    def _check_objective_found(self, metrics: Mapping[str, float]) -> None:
        objective = self.objective
        names = list(getattr(objective, "name_to_direction", [objective.name]))
        missing = [name for name in names if name not in metrics]
        if not missing:
            return
        several = ""
        if len(names) > 1:
            several = (
                f" `{type(self).__name__}` minimizes the sum of {names}; "
                "`NSGA2Oracle` (`search.NSGA2`) takes several objectives, "
                "costs of the model included."
            )
        raise ValueError(
            f"Every report of a trial must hold the objective "
            f"{', '.join(map(repr, missing))}. A name that begins with `val_` "
            "needs `validation_data` or `validation_split`; other names "
            f"must be metrics of the model.{several} "
            f"Received: metrics={sorted(metrics)}"
        )

    def _check_consecutive_failures(self) -> None:
        # KerasTuner counts in all trials, each time; the last ones tell.
        newest = self.end_order[-self.max_consecutive_failed_trials :]
        if all(self.trials[name].status == "FAILED" for name in newest):
            super()._check_consecutive_failures()

    def _record_values(self, trial: Any) -> None:
        """Reduces the values of a trial to its active hyperparameters.

        KerasTuner's method loses the value of a name that is defined under
        two conditions if one of them does not hold.
        """
        known = trial.hyperparameters
        names = {entry.name for entry in known.space}
        others = {k: v for k, v in known.values.items() if k not in names}
        known.values = {**SearchSpace(known).complete(known.values), **others}

    def reload(self) -> None:
        """Restores the search of a project folder; restarts running trials."""
        path = self._get_oracle_fname()
        if not is_local(path):
            super().reload()
            return
        state = self._read_state(path)
        # A trial that is not in oracle.json has not begun.
        self.trials = read_trials(self._project_dir, state["start_order"])
        hashes = state["id_to_hash"].values()
        tried = dict.fromkeys([*state["tried_so_far"], *hashes])
        self.set_state({**state, "tried_so_far": list(tried)})
        settle_trials(self)

    def _read_state(self, path: str) -> dict[str, Any]:
        state = read_search(path)
        entries = state["hyperparameters"]
        self._check_identity(state.get("search"), path)
        known = {
            json.dumps([entry["class_name"], entry["config"]], sort_keys=True)
            for entry in entries["space"]
        }
        missing = [entry for entry in self._given if entry not in known]
        if missing:
            raise ValueError(
                "The project folder belongs to another search: its space "
                f"does not hold {missing[0]} of `hyperparameters`. {REMEDY}"
                f"Received: {path}"
            )
        return state

    def _check_identity(self, search: Any, path: str) -> None:
        """Refuses the folder of another search; names one of KerasTuner."""
        own = json.loads(json.dumps(self.identity()))
        if _without(search, self.extendable) == _without(own, self.extendable):
            return
        folder = os.path.dirname(path)
        learning = f"pass `warm_start={folder!r}`"
        if "warm_start" in getattr(self, "unsupported", ()):
            learning = (
                "use an oracle that learns from trials, as in "
                f"`search.TPE(..., warm_start={folder!r})`"
            )
        problem = f"belongs to another search: {search}, expected {own}"
        if search is None:
            problem = (
                "was made by an oracle of KerasTuner, whose search "
                f"`{type(self).__name__}` cannot go on with. The same oracle "
                "goes on in `search.Tuner(build, oracle=...)`"
            )
        raise ValueError(
            f"The project folder {problem}. To learn from its trials, "
            f"{learning} and another `project_name`. {REMEDY}Received: {path}"
        )


def _without(settings: Any, names: tuple[str, ...]) -> Any:
    if not isinstance(settings, dict):
        return settings
    return {k: v for k, v in settings.items() if k not in names}
