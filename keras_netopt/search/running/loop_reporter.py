"""Reports the epochs of a training loop in an overridden `run_trial`."""

from typing import Any

from keras_netopt.search.running.execution_log import to_float_logs
from keras_netopt.search.running.model_keeper import ModelKeeper
from keras_netopt.search.running.oracle_proxy import EPOCHS


class LoopReporter(ModelKeeper):
    """The part of `search.Tuner` whose `on_epoch_end` reports.

    KerasTuner's older guides train by hand in `run_trial`, call the hooks of
    the tuner, and return nothing.
    """

    score_epoch: str
    reports_itself = False  # While a callback reports the epochs.
    # Trial, epoch and logs of the last report.
    last_report: tuple[str, int, dict[str, float]] | None = None

    def on_epoch_end(
        self, trial: Any, model: Any, epoch: int, logs: Any = None
    ) -> None:
        """Reports an epoch, and saves the weights if it is the one to keep.

        For an overridden `run_trial` that trains by hand. Where the tuner
        trains, it reports the epochs itself, and this method does nothing.

        Args:
            trial: The trial.
            model: The model that is trained.
            epoch: The epoch, from 0.
            logs: Metrics of the epoch, with the objective; without it the
                epoch is not reported.
        """
        found, objective = to_float_logs(logs), self.oracle.objective
        if self.reports_itself or not objective.has_value(found):
            return
        value = objective.get_value(found)
        name, trial_id = objective.name, trial.trial_id
        found[name] = value
        metrics, is_best = dict(found), True
        if self.score_epoch == "last":
            parts = getattr(objective, "name_to_direction", [name])
            metrics = {f"epoch/{one}": found[one] for one in parts}
        else:
            known = self.oracle.get_trial(trial_id).metrics
            is_best = not known.exists(name) or objective.better_than(
                value, known.get_best_value(name)
            )
        if is_best:
            self.save_model(trial_id, model, epoch)
        self.last_report = (trial_id, epoch, found)
        answer = self.oracle.update_trial(trial_id, metrics, step=epoch)
        if answer.status == "STOPPED":
            model.stop_training = True

    def _take_reported(self, trial_id: str) -> bool:
        """Returns whether the loop of a trial has reported its score."""
        last, self.last_report = self.last_report, None
        if last is not None and last[0] == trial_id:
            if self.score_epoch == "last":
                metrics = {**last[2], EPOCHS: float(last[1] + 1)}
                self.oracle.update_trial(trial_id, metrics, step=last[1])
            return True
        # `run_trial` may have called `oracle.update_trial`.
        known = self.oracle.get_trial(trial_id).metrics
        return bool(known.exists(self.oracle.objective.name))
