"""Builds the model of a stage and trains it."""

import os
import shutil
from typing import Any

import keras

from keras_netopt import quantization, surgery
from keras_netopt.callbacks.distillation import Distillation
from keras_netopt.compression.planner import Cut
from keras_netopt.compression.progress_line import ProgressLine
from keras_netopt.compression.run_folder import REMEDY, RunFolder
from keras_netopt.compression.run_settings import SAMPLE, RunSettings
from keras_netopt.compression.stage import (
    AGAIN,
    Stage,
    StageProgress,
    make_schedule,
)
from keras_netopt.files import name_unreadable
from keras_netopt.surgery.cutting.cut_to_widths import WidthCutter
from keras_netopt.surgery.edits.edit_history import read_edit_history
from keras_netopt.training.compiled_clone import (
    clone_compiled,
    compile_again,
)
from keras_netopt.training.optimizers import build_optimizer
from keras_netopt.training.weights_file import save_weights


class StageTrainer:
    """Trains stages; the original model is only read.

    Args:
        settings: The arguments of the run.
        folder: The folder of the run.
        cutter: Makes the cuts.
        line: The progress bar.
    """

    def __init__(
        self,
        settings: RunSettings,
        folder: RunFolder,
        cutter: WidthCutter,
        line: ProgressLine,
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._cutter = cutter
        self._line = line
        self._models: dict[int, keras.Model] = {}

    def train(self, stage: Stage, cut: Cut, history: list[Any]) -> keras.Model:
        """Trains a stage, or goes on where it was interrupted.

        `history` gets a row per epoch.
        """
        settings, number = self._settings, stage.number
        model = self._build(stage, cut)
        keras.utils.set_random_seed(settings.seed + 1000 + number)
        backup = self._folder.file(f"stage-{number}-backup")
        model.fit(
            settings.data.batches(settings.seed + number),
            epochs=stage.epochs,
            validation_data=settings.validation_data,
            verbose=0,
            callbacks=[
                *self._distillation(),
                *stage.callbacks(),
                StageProgress(self._line, history, stage, self._folder.save),
                *settings.callbacks,
                keras.callbacks.BackupAndRestore(
                    backup, double_checkpoint=True, delete_checkpoint=False
                ),
            ],
        )
        save_weights(model, self._folder.weights(number))
        shutil.rmtree(backup, ignore_errors=True)
        self._models = {number: model}
        return model

    def load(self, stage: Stage) -> keras.Model:
        """Returns the trained model of a finished stage."""
        if stage.number in self._models:
            return self._models[stage.number]
        if stage.epochs == 0:
            return clone_compiled(self._settings.model)
        path = self._folder.weights(stage.number)
        model = self._restore(path, self._schedule(stage))
        if stage.has_ranges:
            quantization.load_ranges(model, path)
        self._models = {stage.number: model}
        return model

    def _build(self, stage: Stage, cut: Cut) -> keras.Model:
        """Returns the compiled model with which a stage begins."""
        settings = self._settings
        schedule = self._schedule(stage)
        if stage.start is not None:
            model = self._models.get(stage.start)
            if model is None:
                path = self._folder.weights(stage.start)
                model = self._restore(path, schedule)
            compile_again(model, schedule)
            return model
        start = self._folder.weights(stage.number, "start")
        if os.path.exists(start):
            return self._restore(start, schedule)
        model = clone_compiled(settings.model, schedule)
        if cut.widths:
            x, y = settings.data.sample(SAMPLE)
            self._cutter.cut(
                model, cut.widths, score="taylor", data=(x, y), recalibrate=x
            )
            build_optimizer(model)
            save_weights(model, start)
        return model

    def _schedule(self, stage: Stage) -> Any:
        rate = self._settings.rate * (1.0 if stage.start is None else AGAIN)
        steps = self._settings.data.steps
        return make_schedule(rate, steps, stage.epochs)

    def _restore(self, path: str, schedule: Any) -> keras.Model:
        """Returns the model of a weights file, with a new optimizer."""
        model = clone_compiled(self._settings.model, schedule)
        with name_unreadable(path, "the weights of a stage", REMEDY):
            if read_edit_history(model, path):
                surgery.replay(model, path)
            build_optimizer(model)  # Else Keras warns that it skips the slots.
            model.load_weights(path)
        return model

    def _distillation(self) -> list[Any]:
        options = self._settings.distillation
        if options is None:
            return []
        return [Distillation(self._settings.model, **options)]
