"""Logs the compute spent in training."""

from typing import Any

import keras

from keras_netopt.cost import MacCounter, summarize
from keras_netopt.cost.mac_counter import loss_metric
from keras_netopt.serialization import export_class
from keras_netopt.training import NoEffectWarning, ResumableCallback
from keras_netopt.training.order import LOGGERS
from keras_netopt.training.seen_shape import build_at_seen_shape


@export_class
class ComputeTracker(ResumableCallback):
    """Counts the multiply-accumulates (MACs) spent in training.

    Use it to compare training runs at equal compute instead of equal epochs:
    models of different sizes, or a model that `Growing` or `ChannelPruning`
    changes during training. Each sample costs three times the MACs of a
    forward pass of the model at that step. `training_macs` is in the logs of
    every epoch. MACs do not measure time.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(50)])
    >>> model.compile("adam", "mse")
    >>> x, y = np.random.normal(size=(70, 8)), np.zeros((70, 50))
    >>> counter = netopt.callbacks.ComputeTracker()
    >>> history = model.fit(x, y, epochs=2, verbose=0, callbacks=[counter])
    >>> counter.spent()  # 3 passes, 2 epochs, 70 samples, 8 * 50 MACs
    168000

    Raises:
        ValueError: If the model has no metric called "loss", as with a custom
            `train_step`, before the first step.
    """

    should_precede = LOGGERS
    log_keys = {"training_macs": "multiply-accumulates spent in training"}

    def __init__(self) -> None:
        super().__init__()
        self.reset()

    def reset(self) -> None:
        """Resets the count for another model."""
        self._mac_counter = MacCounter()

    def spent(self) -> int:
        """Returns the MACs spent on the model, over all its `fit` calls."""
        return self._mac_counter.spent

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Called by Keras; finds the inputs of a model of built parts."""
        build_at_seen_shape(self._model)
        super().on_train_begin(logs)

    def on_model_ready(self, model: keras.Model) -> None:
        """Checks that samples and MACs can be counted."""
        if loss_metric(model) is None:
            raise ValueError(
                "ComputeTracker counts samples by the metric 'loss' of Keras, "
                "which a custom `train_step` must update. Received: "
                f"metrics={[metric.name for metric in model.metrics]}"
            )
        report = summarize(model)
        unknown = ", ".join(row.name for row in report.unknown)
        if unknown or not report.macs:
            self.warn(
                NoEffectWarning,
                "looked for layers with MACs, could not count "
                f"{unknown or 'any'}; `training_macs` is too low. Print "
                "`cost.summarize(model)` for the reasons.",
            )

    def on_resume(self, model: keras.Model) -> None:
        """Restores the count of a resumed `fit` call."""
        saved = self.loaded_state()
        if saved is not None:
            self._mac_counter = MacCounter(saved[0]["spent"])
        self._mac_counter.begin_epoch(model)

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called by Keras."""
        super().on_epoch_begin(epoch, logs)
        if self._attached:
            self._mac_counter.begin_epoch(self.model)

    def before_edit(self, model: keras.Model) -> None:
        """Adds the MACs spent so far, before the size changes."""
        self._mac_counter.update(model)

    def after_edit(self, model: keras.Model) -> None:
        """Measures the new size."""
        self._mac_counter.measure(model)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Called by Keras before validation."""
        self._mac_counter.end_epoch(self.model)

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called by Keras."""
        self._mac_counter.end_epoch(self.model)
        super().on_epoch_end(epoch, logs)

    def progress_logs(self) -> dict[str, float]:
        """Returns the MACs spent up to the last count."""
        return {"training_macs": self._mac_counter.spent}

    def get_state(self) -> dict[str, Any]:
        """Returns the count."""
        self._mac_counter.update(self.model)
        return {"spent": self._mac_counter.spent}
