"""Trains one trial: folds, executions, reports, resume.

Private names of KerasTuner 1.4.8: `_build_hypermodel`,
`_configure_tensorboard_dir` and `_run_and_update_trial` are overridden,
`_try_build` and `src.engine.tuner_utils` are used.
"""

import copy
import functools
import math
import shutil
import warnings
import zlib
from pathlib import Path
from typing import Any

import keras
import keras_tuner
from keras_tuner.src.engine import tuner_utils

from keras_netopt.files import name_unreadable, put_in_place
from keras_netopt.search.running.epoch_reporter import (
    EpochReporter,
    ReportFunction,
    complete_log,
)
from keras_netopt.search.running.execution_log import ExecutionLog
from keras_netopt.search.running.executions import (
    Execution,
    ExecutionResult,
    aggregate_results,
    iterate_executions,
    read_returned,
)
from keras_netopt.search.running.fit_arguments import (
    check_epochs,
    check_validation_freq,
    declared_arguments,
    is_validated,
)
from keras_netopt.search.running.input_structure import InputRecorder
from keras_netopt.search.running.loop_reporter import LoopReporter
from keras_netopt.search.running.model_keeper import (
    BEST,
    REMEDY,
    build_optimizer,
)
from keras_netopt.search.running.oracle_proxy import RETURNED
from keras_netopt.search.running.tensorboard_folders import (
    separate_tensorboard,
)
from keras_netopt.search.running.tuner_callback import TunerCallback
from keras_netopt.training.randomness import set_seed
from keras_netopt.training.weights_file import save_weights
from keras_netopt.warnings import NoEffectWarning

LAST = "last.weights.h5"
BACKUP, LOG = "backup", "epochs.json"
RESUME = ("epoch", "trial")
PROMOTED = "the weights of a promoted trial"
SCORE_EPOCHS = ("best", "last")
FIT = "HyperModel.fit()"


class TrialMetrics(dict[str, float]):
    """Metrics of a trial, with the epoch that they belong to."""

    step = 0


class TrialTrainer(LoopReporter):
    """The part of `search.Tuner` that runs where a trial is trained."""

    seed: int
    resume: str
    folded: Any
    current_seed: int | None = None

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
        """Trains all folds and executions of a trial.

        Args:
            trial: A KerasTuner trial.
            *args: Positional arguments of `HyperModel.fit`.
            **kwargs: Keyword arguments of `HyperModel.fit`.

        Returns:
            The metrics of the trial, or what `HyperModel.fit` returns if that
            is not a `History`: a list of it with several executions.
        """
        callbacks = kwargs.pop("callbacks", None) or []
        folder = Path(self.get_trial_dir(trial.trial_id))
        results: list[Any] = []
        scores: list[tuple[Execution, float]] = []
        for execution in iterate_executions(
            self.folded, self.executions_per_trial
        ):
            own = folder / execution.folder
            found = self.train_execution(
                trial, execution, callbacks, args, kwargs, own
            )
            results.append(found)
            scores.append((execution, self.score_execution(found)))
            if isinstance(found, ExecutionResult) and found.stopped:
                break
        self._keep_best_weights(scores, folder)
        if not all(isinstance(one, ExecutionResult) for one in results):
            return results if len(results) > 1 else results[0]
        metrics, step = aggregate_results(results, self.oracle.objective)
        result = TrialMetrics(metrics)
        result.step = step
        return result

    def execution_seed(self, trial_id: str, name: str) -> int:
        """Returns the seed of one execution."""
        text = f"{self.seed}/{trial_id}/{name}"
        return zlib.crc32(text.encode()) % 2**31

    def train_execution(
        self,
        trial: Any,
        execution: Execution,
        callbacks: list[Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        folder: Path,
    ) -> Any:
        """Runs one execution; returns its result, or a value of `fit`."""
        if self.resume == "trial":
            shutil.rmtree(folder, ignore_errors=True)
        log = ExecutionLog(folder / LOG)
        if log.problem:
            warnings.warn(log.problem, NoEffectWarning, stacklevel=2)
            # A backup without the logs of its epochs has lost the best one.
            shutil.rmtree(folder, ignore_errors=True)
        if log.is_done:  # The search was killed before the trial ended.
            report = self._report_function(trial, execution)
            for earlier, logs in sorted(log.epochs.items()):
                if self.oracle.objective.has_value(logs):
                    report(earlier, logs)
        else:
            has_backup = (folder / BACKUP).exists()
            fit = (trial, execution, callbacks, args, kwargs)
            try:
                found = self._fit(*fit, log)
            except Exception:
                if self._has_lost_project():
                    raise
                # A trial that failed is retried from its first epoch. One
                # whose process was killed resumes: it never gets here.
                shutil.rmtree(folder, ignore_errors=True)
                if not has_backup or log.has_begun:
                    raise
                # The backup was torn by the kill.
                log = ExecutionLog(folder / LOG)
                found = self._fit(*fit, log)
            if not isinstance(found, keras.callbacks.History):
                return found
        objective = self.oracle.objective
        epoch, metrics = (
            log.best(objective)
            if self.score_epoch == "best"
            else log.last(objective)
        )
        if math.isnan(objective.get_value(metrics)):
            shutil.rmtree(folder, ignore_errors=True)
        return ExecutionResult(
            execution, metrics, epoch, len(log.epochs), log.is_stopped
        )

    def _fit(
        self,
        trial: Any,
        execution: Execution,
        callbacks: list[Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        log: ExecutionLog,
    ) -> Any:
        hp = trial.hyperparameters
        folder = log.path.parent
        folder.mkdir(parents=True, exist_ok=True)
        self.current_seed = self.execution_seed(trial.trial_id, execution.name)
        model = self._try_build(hp)
        fit, objective = self.hypermodel.fit, self.oracle.objective
        added = {**execution.data, **self._load_promoted(model, hp, execution)}
        kwargs = {**kwargs, **declared_arguments(fit, added)}
        check_epochs(kwargs, added)
        is_due = None
        if type(self.hypermodel).fit is keras_tuner.HyperModel.fit:
            check_validation_freq(kwargs, objective)
            frequency = kwargs.get("validation_freq", 1)
            is_due = functools.partial(is_validated, frequency=frequency)
        reporter = EpochReporter(
            log,
            objective,
            self._report_function(trial, execution),
            folder / BEST,
            keeps_best=self.score_epoch == "best",
            is_due=is_due,
            keep=None if self.proxy is None else self.proxy.keep_project,
        )
        copies: list[Any] = copy.deepcopy(callbacks)
        self._configure_tensorboard_dir(copies, trial, execution.index)
        copies += [TunerCallback(self, trial, TrialTrainer), reporter]
        if self.resume == "epoch" and model.built:
            copies.append(
                keras.callbacks.BackupAndRestore(
                    str(folder / BACKUP), double_checkpoint=True
                )
            )
        kwargs.update(declared_arguments(fit, {"callbacks": copies}))
        recorder = InputRecorder(model)
        self.reports_itself = True
        try:
            history = fit(hp, model, *args, **kwargs)
        finally:
            self.reports_itself = False
            recorder.close()
        self._save_inputs(trial.trial_id, model, recorder.found)
        if not log.epochs and model.built:  # No callback of the tuner ran.
            save_weights(model, folder / BEST)
        if "tuner/epochs" in hp.values:  # Hyperband may promote the trial.
            save_weights(model, folder / LAST)
        if isinstance(history, keras.callbacks.History):
            complete_log(log, history, objective)
            log.end(stopped=reporter.is_stopped)
        return history

    def _has_lost_project(self) -> bool:
        """Whether the files in the folder are another search's by now."""
        guard = None if self.proxy is None else self.proxy.guard
        return guard is not None and guard.is_lost

    def _load_promoted(
        self, model: Any, hp: Any, execution: Execution
    ) -> dict[str, Any]:
        """Continues a promoted trial of Hyperband, optimizer included."""
        if "tuner/epochs" not in hp.values:
            return {}
        epochs = {
            "epochs": int(hp.values["tuner/epochs"]),
            "initial_epoch": int(hp.values.get("tuner/initial_epoch", 0)),
        }
        parent = hp.values.get("tuner/trial_id")
        if parent:
            build_optimizer(model)
            folder = Path(self.get_trial_dir(parent)) / execution.folder
            with name_unreadable(folder / LAST, PROMOTED, REMEDY):
                model.load_weights(folder / LAST)
        return epochs

    def _report_function(
        self, trial: Any, execution: Execution
    ) -> ReportFunction:
        objective = self.oracle.objective
        names = list(getattr(objective, "name_to_direction", [objective.name]))
        # Of several values under the objective's name, KerasTuner scores the
        # best one.
        prefix = execution.name or (
            "" if self.score_epoch == "best" else "epoch"
        )
        prefix = f"{prefix}/" if prefix else ""

        def report(epoch: int, logs: dict[str, float]) -> bool:
            if execution.index:
                return False
            metrics = {f"{prefix}{name}": logs[name] for name in names}
            answer = self.oracle.update_trial(
                trial.trial_id, metrics, step=epoch
            )
            return bool(answer.status == "STOPPED")

        return report

    def score_execution(self, result: Any) -> float:
        """Returns the score of what `train_execution` returns."""
        objective = self.oracle.objective
        if isinstance(result, ExecutionResult):
            return float(objective.get_value(result.metrics))
        if result is None:  # `fit` may have called `on_epoch_end`.
            return math.nan
        return float(read_returned(result, objective, FIT)[objective.name])

    def _keep_best_weights(
        self, scores: list[tuple[Execution, float]], folder: Path
    ) -> None:
        """Moves the weights of the best execution to the trial's folder."""
        best, best_score = scores[0]
        for execution, score in scores[1:]:
            if self.oracle.objective.better_than(score, best_score):
                best, best_score = execution, score
        path = folder / best.folder / BEST
        if path.exists():
            put_in_place(path, folder / BEST)
        for execution, _ in scores:
            (folder / execution.folder / BEST).unlink(missing_ok=True)

    def _run_and_update_trial(
        self, trial: Any, *args: Any, **kwargs: Any
    ) -> None:
        results = self.run_trial(trial, *args, **kwargs)
        objective = self.oracle.objective
        metrics: dict[str, float]
        if isinstance(results, TrialMetrics):
            metrics, step = dict(results), results.step
        else:
            if results is None and self._take_reported(trial.trial_id):
                return
            own = type(self).run_trial is TrialTrainer.run_trial
            source = FIT if own else "Tuner.run_trial()"
            metrics = read_returned(results, objective, source)
            metrics[RETURNED] = 1.0
            step = tuner_utils.get_best_step(results, objective)
        self.oracle.update_trial(trial.trial_id, metrics, step=step)

    def _build_hypermodel(self, hp: Any) -> Any:
        if self.current_seed is not None:
            # After KerasTuner's `clear_session`, which resets seeds.
            set_seed(self.current_seed)
        return super()._build_hypermodel(hp)

    def _configure_tensorboard_dir(
        self, callbacks: Any, trial: Any, execution: int = 0
    ) -> None:
        # KerasTuner imports tensorboard whether it is used or not.
        separate_tensorboard(callbacks, trial, execution)
