"""Trains one trial: folds, executions, reports, resume.

Overridden private names of KerasTuner 1.4.8: `_build_hypermodel`,
`_configure_tensorboard_dir`, `_run_and_update_trial`; used are `_try_build`
and `_get_build_config_fname`.
"""

import copy
import math
import os
import shutil
import zlib
from pathlib import Path
from typing import Any

import keras
import keras_tuner

from keras_netopt.search.running.fit_arguments import by_name
from keras_netopt.search.running.hooks import Hooks
from keras_netopt.search.running.reporter import (
    Report,
    Reporter,
    missing_objective,
)
from keras_netopt.search.running.run_record import RunRecord
from keras_netopt.search.running.runs import Outcome, Run, runs, summary
from keras_netopt.search.storage import read_json, write_json
from keras_netopt.training.randomness import set_seed

BEST, LAST = "checkpoint.weights.h5", "last.weights.h5"
BACKUP, RECORD = "backup", "record.json"
RESUME = ("epoch", "trial")
SCORES = ("best", "last")


class Summary(dict[str, float]):
    """Metrics of a trial, with the epoch that they belong to."""

    step = 0


class Trainer(keras_tuner.Tuner):
    """The half of `search.Tuner` that runs where a trial is trained."""

    seed: int
    resume: str
    score: str
    folded: Any
    seed_now: int | None = None

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
        """Trains all folds and executions of a trial.

        Args:
            trial: A KerasTuner trial.
            *args: Arguments of `fit` by position.
            **kwargs: Arguments of `fit` by name.
        """
        named = by_name(args, kwargs)
        callbacks = named.pop("callbacks", None) or []
        folder = Path(self.get_trial_dir(trial.trial_id))
        outcomes: list[Outcome] = []
        for run in runs(self.folded, self.executions_per_trial):
            found = self._run(trial, run, callbacks, named, folder / run.folder)
            if not isinstance(found, Outcome):
                return found
            outcomes.append(found)
            if found.stopped:
                break
        self._keep_best_weights(outcomes, folder)
        metrics, step = summary(outcomes, self.oracle.objective)
        result = Summary(metrics)
        result.step = step
        return result

    def load_model(self, trial: Any) -> Any:
        """Returns the model of a trial with its best weights.

        Args:
            trial: A KerasTuner trial.
        """
        model = self._try_build(trial.hyperparameters)
        notes = self._get_build_config_fname(trial.trial_id)
        if not model.built:
            model.build_from_config(read_json(notes))
        if model.optimizer is not None:
            model.optimizer.build(model.trainable_variables)
        model.load_weights(Path(self.get_trial_dir(trial.trial_id)) / BEST)
        return model

    def seed_of(self, trial_id: str, name: str) -> int:
        """Returns the seed of one training."""
        text = f"{self.seed}/{trial_id}/{name}"
        return zlib.crc32(text.encode()) % 2**31

    def _run(
        self,
        trial: Any,
        run: Run,
        callbacks: list[Any],
        named: dict[str, Any],
        folder: Path,
    ) -> Any:
        """Trains once; what `HyperModel.fit` returns if it is no history."""
        if self.resume == "trial":
            shutil.rmtree(folder, ignore_errors=True)
        record = RunRecord(folder / RECORD)
        if record.is_done:  # The kill came before the trial had ended.
            report = self._report(trial, run)
            for earlier, logs in sorted(record.epochs.items()):
                report(earlier, logs)
        else:
            was_cut_off = (folder / BACKUP).exists()
            try:
                found = self._fit(trial, run, callbacks, named, record)
            except Exception:
                # A trial that failed begins again, one that was killed goes
                # on: it never comes here.
                shutil.rmtree(folder, ignore_errors=True)
                if not was_cut_off or record.has_begun:
                    raise
                # The kill has torn a file of the backup.
                record = RunRecord(folder / RECORD)
                found = self._fit(trial, run, callbacks, named, record)
            if not isinstance(found, keras.callbacks.History):
                return found
        objective = self.oracle.objective
        epoch, metrics = (
            record.best(objective) if self.score == "best" else record.last()
        )
        if math.isnan(objective.get_value(metrics)):
            shutil.rmtree(folder, ignore_errors=True)
        return Outcome(
            run, metrics, epoch, len(record.epochs), record.is_stopped
        )

    def _fit(
        self,
        trial: Any,
        run: Run,
        callbacks: list[Any],
        named: dict[str, Any],
        record: RunRecord,
    ) -> Any:
        hp = trial.hyperparameters
        folder = record.path.parent
        folder.mkdir(parents=True, exist_ok=True)
        self.seed_now = self.seed_of(trial.trial_id, run.name)
        model = self._try_build(hp)
        named = {**named, **run.data, **self._continue(model, hp, run)}
        reporter = Reporter(
            record,
            self.oracle.objective,
            self._report(trial, run),
            folder / BEST,
            keeps_best=self.score == "best",
            last_weights=folder / LAST if "tuner/epochs" in hp.values else None,
            strict=type(self.hypermodel).fit is keras_tuner.HyperModel.fit,
        )
        mine: list[Any] = copy.deepcopy(callbacks)
        self._configure_tensorboard_dir(mine, trial, run.index)
        mine += [Hooks(self, trial), reporter]
        if self.resume == "epoch" and model.built:
            mine.append(
                keras.callbacks.BackupAndRestore(
                    str(folder / BACKUP), double_checkpoint=True
                )
            )
        history = self.hypermodel.fit(hp, model, callbacks=mine, **named)
        write_json(
            self._get_build_config_fname(trial.trial_id),
            model.get_build_config(),
        )
        if isinstance(history, keras.callbacks.History):
            self._complete(record, history)
            record.end(stopped=reporter.is_stopped)
        return history

    def _complete(self, record: RunRecord, history: Any) -> None:
        """Fills in what a `HyperModel.fit` without our callbacks has done."""
        if not record.epochs:
            for place, epoch in enumerate(history.epoch):
                logs = {k: v[place] for k, v in history.history.items()}
                record.add(epoch, {k: float(v) for k, v in logs.items()})
        for logs in record.epochs.values():
            if not self.oracle.objective.has_value(logs):
                raise missing_objective(self.oracle.objective, logs)

    def _continue(self, model: Any, hp: Any, run: Run) -> dict[str, Any]:
        """Takes up the trial that Hyperband has promoted, optimizer and all."""
        if "tuner/epochs" not in hp.values:
            return {}
        epochs = {
            "epochs": int(hp.values["tuner/epochs"]),
            "initial_epoch": int(hp.values.get("tuner/initial_epoch", 0)),
        }
        parent = hp.values.get("tuner/trial_id")
        if parent:
            # Without its slots the optimizer would drop their saved values.
            model.optimizer.build(model.trainable_variables)
            folder = Path(self.get_trial_dir(parent)) / run.folder
            model.load_weights(folder / LAST)
        return epochs

    def _report(self, trial: Any, run: Run) -> Report:
        objective = self.oracle.objective
        names = list(getattr(objective, "name_to_direction", [objective.name]))
        # Under the objective's own name the best epoch would count.
        name = run.name or ("" if self.score == "best" else "epoch")
        prefix = f"{name}/" if name else ""

        def report(epoch: int, logs: dict[str, float]) -> bool:
            if run.index:
                return False
            told = {f"{prefix}{name}": logs[name] for name in names}
            answer = self.oracle.update_trial(trial.trial_id, told, step=epoch)
            return bool(answer.status == "STOPPED")

        return report

    def _keep_best_weights(self, outcomes: list[Outcome], folder: Path) -> None:
        objective = self.oracle.objective
        best = outcomes[0]
        for one in outcomes[1:]:
            value = objective.get_value(one.metrics)
            if objective.better_than(value, objective.get_value(best.metrics)):
                best = one
        path = folder / best.run.folder / BEST
        if path.exists():
            os.replace(path, folder / BEST)
        for one in outcomes:
            (folder / one.run.folder / BEST).unlink(missing_ok=True)

    def _run_and_update_trial(
        self, trial: Any, *args: Any, **kwargs: Any
    ) -> None:
        results = self.run_trial(trial, *args, **kwargs)
        if isinstance(results, Summary):
            self.oracle.update_trial(
                trial.trial_id, dict(results), step=results.step
            )
            return
        known = self.oracle.get_trial(trial.trial_id).metrics
        if known.exists(self.oracle.objective.name):
            return
        shadow = copy.copy(self)
        shadow.run_trial = lambda *_, **__: results  # type: ignore[method-assign]
        keras_tuner.Tuner._run_and_update_trial(shadow, trial)

    def _build_hypermodel(self, hp: Any) -> Any:
        if self.seed_now is not None:
            # Behind KerasTuner's `clear_session`, which forgets seeds.
            set_seed(self.seed_now)
        return super()._build_hypermodel(hp)

    def _configure_tensorboard_dir(
        self, callbacks: Any, trial: Any, execution: int = 0
    ) -> None:
        # KerasTuner imports tensorboard whether it is used or not.
        names = [type(callback).__name__ for callback in callbacks]
        if "TensorBoard" in names:
            super()._configure_tensorboard_dir(callbacks, trial, execution)
