"""One folder of TensorBoard per trial and execution, with its HParams.

KerasTuner does so on TensorFlow only, although Keras' callback runs on JAX.
"""

import functools
import os
import time
import warnings
from typing import Any

import keras
from keras_tuner.src.engine import tuner_utils

from keras_netopt.warnings import NoEffectWarning


def separate_tensorboard(
    callbacks: list[Any], trial: Any, execution: int
) -> None:
    """Gives the TensorBoard callbacks of an execution folders of their own.

    Adds a callback that writes the hyperparameters there.
    """
    for one in [one for one in callbacks if _is_tensorboard(one)]:
        parts = str(trial.trial_id), f"execution{execution}"
        one.log_dir = os.path.join(str(one.log_dir), *parts)
        if (hparams := import_hparams()) is not None:
            values = tuner_utils.convert_hyperparams_to_hparams(
                trial.hyperparameters, hparams
            )
            found = hparams.hparams_pb(values, trial_id=str(trial.trial_id))
            callbacks.append(HyperparameterWriter(one.log_dir, found))


class HyperparameterWriter(keras.callbacks.Callback):
    """Writes the summary of a trial's hyperparameters when training begins.

    The callback of TensorBoard's plugin for it is made of `tf.keras`.
    """

    def __init__(self, folder: str, summary: Any) -> None:
        super().__init__()
        self.folder = folder
        self.summary = summary

    def on_train_begin(self, logs: Any = None) -> None:
        """Called by Keras."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.event_file_writer import (
            EventFileWriter,
        )

        writer = EventFileWriter(self.folder)
        writer.add_event(Event(wall_time=time.time(), summary=self.summary))
        writer.close()


def _is_tensorboard(callback: Any) -> bool:
    # KerasTuner asks for the name alone.
    return isinstance(callback, keras.callbacks.TensorBoard) or (
        type(callback).__name__ == "TensorBoard"
    )


@functools.cache
def import_hparams() -> Any:
    """Returns the module of the plugin that needs no TensorFlow, or `None`."""
    try:
        from tensorboard.plugins.hparams import summary_v2
        from tensorboard.summary.writer import event_file_writer
    except ImportError as error:
        warnings.warn(
            "The hyperparameters of trials are not written for TensorBoard: "
            f"its HParams plugin cannot be imported ({error}). Each trial has "
            "its folder all the same. Remedy: install tensorboard.",
            NoEffectWarning,
            stacklevel=2,
        )
        return None
    del event_file_writer
    return summary_v2
