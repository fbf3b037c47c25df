"""Stores the models of trials and restores them.

Private names of KerasTuner 1.4.8: `_try_build` and `_get_build_config_fname`
are used.
"""

from pathlib import Path
from typing import Any

import keras
import keras_tuner

from keras_netopt.files import name_unreadable
from keras_netopt.search.running.confirmed_trials import choose_candidates
from keras_netopt.search.running.input_structure import (
    call_on_zeros,
    describe_built,
)
from keras_netopt.search.storage import read_json, write_json
from keras_netopt.training.weights_file import save_weights

BEST, INPUTS = "checkpoint.weights.h5", "inputs.json"
KEEP_WEIGHTS = ("all", "best")
REMEDY = "Build the model of its hyperparameters and train it again."


class ModelKeeper(keras_tuner.Tuner):
    """The part of `search.Tuner` that stores and restores models."""

    keep_weights: str
    proxy: Any  # `None` in the processes of an executor.
    # The trials whose weights are kept, and how many have been looked at.
    kept: tuple[str, ...] = ()
    cleaned = 0

    def save_model(self, trial_id: str, model: Any, step: int = 0) -> None:
        """Saves the weights of a trial, and what `load_model` needs.

        Args:
            trial_id: Id of the trial.
            model: The trained model.
            step: The epoch, from 0; it has no effect.
        """
        folder = Path(self.get_trial_dir(trial_id))
        folder.mkdir(parents=True, exist_ok=True)
        build_optimizer(model)  # As `load_model` does.
        save_weights(model, folder / BEST, sync=False)
        self._save_inputs(trial_id, model, describe_built(model))

    def load_model(self, trial: Any) -> Any:
        """Returns the model of a trial with its best weights."""
        path = Path(self.get_trial_dir(trial.trial_id)) / BEST
        self._check_kept(trial.trial_id, path)
        model = self._try_build(trial.hyperparameters)
        if not model.built:
            inputs = path.with_name(INPUTS)
            if inputs.exists():
                call_on_zeros(model, read_json(str(inputs)))
            else:
                config = self._get_build_config_fname(trial.trial_id)
                model.build_from_config(read_json(config))
        build_optimizer(model)
        with name_unreadable(path, "the weights of a trial", REMEDY):
            model.load_weights(path)
        return model

    def _delete_weights(self, candidates: int = 0) -> None:
        """Deletes the weights of ended trials.

        The best trial keeps its own, and so do the `candidates` that are to
        be confirmed, of which one may become the best.
        """
        found = self.proxy.oracle.get_best_trials(1)
        found += choose_candidates(self.proxy, candidates)
        kept = tuple(dict.fromkeys(trial.trial_id for trial in found))
        ended = self.proxy.oracle.end_order
        # The best trials of before, and those that have ended since then.
        for trial_id in [*self.kept, *ended[self.cleaned :]]:
            if trial_id not in kept:
                path = Path(self.get_trial_dir(trial_id)) / BEST
                path.unlink(missing_ok=True)
        self.kept, self.cleaned = kept, len(ended)

    def _save_inputs(
        self, trial_id: str, model: keras.Model, inputs: Any
    ) -> None:
        """Saves what an unbuilt model of a trial is built from."""
        write_json(
            self._get_build_config_fname(trial_id), model.get_build_config()
        )
        if inputs is not None:
            path = Path(self.get_trial_dir(trial_id)) / INPUTS
            write_json(str(path), inputs)

    def _check_kept(self, trial_id: str, path: Path) -> None:
        """Refuses a trial whose weights were deleted."""
        if self.keep_weights != "best" or path.exists():
            return
        files = Path(self.project_dir).glob(f"trial_*/{BEST}")
        kept = sorted(file.parent.name.removeprefix("trial_") for file in files)
        raise ValueError(
            'Argument `keep_weights` must be "all" for the models of several '
            f"trials: the weights of trials {kept} exist. "
            f"Received: keep_weights='best', a model of trial {trial_id!r}. "
            "Remedy: `get_best_models(1)`, or train a model of "
            "`get_best_hyperparameters`."
        )


def build_optimizer(model: Any) -> None:
    """Creates the slots, whose saved values would be skipped otherwise."""
    optimizer = getattr(model, "optimizer", None)  # None if not compiled.
    if optimizer is not None:
        optimizer.build(model.trainable_variables)
