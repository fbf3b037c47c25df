"""Trains a model whose kernels lie on a grid, while `fit` runs."""

from typing import Any

import keras

from keras_netopt.points import Point, check_point, resolve_point
from keras_netopt.quantization.quantization_report import QuantizationReport
from keras_netopt.quantization.quantization_session import (
    QuantizationSession,
)
from keras_netopt.quantization.range_schedule import RangeSchedule
from keras_netopt.quantization.ranges import ENTRY as RANGES
from keras_netopt.quantization.ranges import ActivationRanges
from keras_netopt.quantization.settings import QuantizationSettings
from keras_netopt.selectors import (
    Selector,
    check_selector,
    deserialize_selector,
    serialize_selector,
)
from keras_netopt.serialization import export_class
from keras_netopt.training import (
    Arrays,
    NoEffectWarning,
    ResumableCallback,
)
from keras_netopt.training.float_weights import MASTERS
from keras_netopt.training.order import LOGGERS


@export_class
class Quantization(ResumableCallback):
    """Trains kernels that lie on a grid of 8, 4, 3 or 2 bits.

    Quantization-aware training with the straight-through estimator: forward
    and backward pass use the rounded kernels, the optimizer updates a float
    master of each. After every batch, in every checkpoint and in the exported
    file, the kernels are exactly on the grid, so a file with integers of the
    same width holds the trained model. The model and its layers are not
    wrapped, and its config does not change.

    Start from a trained model, or set `begin`: rounding costs little then. At
    8 bits rounding after training is usually as good. List the callback after
    `EarlyStopping(restore_best_weights=True)` and before `ModelCheckpoint`
    and loggers; together with `Pruning`, the order does not matter. After the
    fit the kernels stay on the grid in later `fit` calls, too;
    `quantization.remove_masters` ends that.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    >>> model.compile("adam", "mse")
    >>> x, y = np.random.normal(size=(64, 8)), np.zeros((64, 4))
    >>> history = model.fit(
    ...     x, y, epochs=2, verbose=0,
    ...     callbacks=[netopt.callbacks.Quantization(4)])
    >>> netopt.quantization.report(model).rows[0].bits
    4
    >>> history.history["quantized"]
    [1.0, 1.0]

    Args:
        bits: Bits per weight: 8, 4, 3 or 2. Defaults to `8`.
        grid: How the scale of a channel is chosen: "max" (the largest weight
            is the end of the grid), "mse" (least squared error; slower),
            "twn" (2 bits: the mean of the large weights) or "auto": "max" for
            8 and 4 bits, "mse" for 3, "twn" for 2. Defaults to `"auto"`.
        clusters: Number of shared values per kernel in [2, 256], instead of a
            grid; for files that are compressed. Defaults to `None`.
        include: Weights to quantize: a regular expression searched in the
            weight's path, "first", "last", a layer, a layer class, a
            `callable(layer) -> bool`, or a list of those. Defaults to `None`:
            every kernel and embedding.
        exclude: Weights not to quantize, in the same form. Defaults to `None`.
        begin: Point of the fit from which kernels are quantized: a float in
            [0, 1] (share of the fit), an int (steps), "3ep" or "500step".
            Defaults to `0.0`.
        activations: Whether activations are rounded to int8 as well, with
            ranges that the fit trains and `to_litert(quantize="int8")` takes
            over without calibration data: `True`, from 80 % of the fit on,
            or a point as in `begin`. For Functional and Sequential models.
            Defaults to `False`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, at construction; before
            the first step, if `begin` is after the end of the fit, a selector
            matches nothing, kernels are not finite, a selected layer has LoRA
            weights or was quantized by Keras, the model has no graph for
            `activations`, or the order of callbacks is wrong.

    Reference:
        Jacob et al., 2018, https://arxiv.org/abs/1712.05877; Bengio et al.,
        2013, https://arxiv.org/abs/1308.3432 (straight-through estimator).
    """

    must_follow = (
        "EarlyStopping(restore_best_weights=True)",
        "SwapEMAWeights",
    )
    should_precede = ("ModelCheckpoint", *LOGGERS)
    log_keys = {
        "quantized": "share of the weights of all kernels that are quantized, "
        "in [0, 1]",
        "quantization_error": "distance of the kernels from their masters, "
        "relative to the masters' norm",
    }

    def __init__(
        self,
        bits: int = 8,
        *,
        grid: str = "auto",
        clusters: int | None = None,
        include: Selector | None = None,
        exclude: Selector | None = None,
        begin: Point = 0.0,
        activations: bool | Point = False,
    ) -> None:
        super().__init__()
        self.settings = QuantizationSettings.create(bits, grid, clusters)
        check_selector(include, "include")
        check_selector(exclude, "exclude")
        check_point(begin, "begin")
        self.bits = bits
        self.grid = grid
        self.clusters = clusters
        self.include = include
        self.exclude = exclude
        self.begin = begin
        self.activations = activations
        self._ranges = RangeSchedule(activations)
        self.reset()

    def reset(self) -> None:
        """Resets the state that belongs to one model."""
        self._session: QuantizationSession | None = None
        # Of a fit in which no kernel is selected; for the report alone.
        self._idle: QuantizationSession | None = None
        self._begin = 0
        self._begun = False
        self._logs: dict[str, float] = {}

    def on_model_ready(self, model: keras.Model) -> None:
        """Selects the kernels; rounds them if training begins so."""
        self._session = None
        self._ranges.prepare(model, self._progress.run)
        session = QuantizationSession(
            model, self.settings, self.include, self.exclude
        )
        if not session.keys:
            self._idle = session
            self.warn(
                NoEffectWarning,
                "no kernel is selected, so nothing is quantized. Name weights "
                "in `include`; `quantization.report(model)` lists them.",
            )
            return
        self._check_overlap(model, set(session.keys))
        self._begin = resolve_point(self.begin, self._progress.run, "begin")
        self._session = session
        if self._begun or self._begin == 0:
            self._start()

    def on_length_known(self, model: keras.Model) -> None:
        """Computes the step of a `begin` in epochs."""
        run = self._progress.run
        self._begin = resolve_point(self.begin, run, "begin")
        self._ranges.set_length(run)

    def on_resume(self, model: keras.Model) -> None:
        """Restores the masters of a checkpoint."""
        saved = self.loaded_state()
        self._resume_ranges(model, saved is not None)
        if self._session is None:
            return
        if saved is not None:
            self._begun = self._begun or saved[0]["begun"]
        self._advance(self._progress.step)
        store = self._session.store
        if store is not None:
            self.load_state_of(MASTERS, store.load_state)
        self._measure()

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called by Keras; takes up weights that were written meanwhile."""
        super().on_epoch_begin(epoch, logs)
        self._take_up()

    def on_steps(self, before: int, after: int) -> None:
        """Rounds the kernels from `begin` on; moves shared values."""
        if self._ranges.is_due(after):
            self._ranges.attach(self.model)
        if self._session is not None:
            self._advance(after)
            if self._begun:
                self._session.move_levels(before, after)

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called by Keras; measures the error of rounding."""
        self._measure()
        super().on_epoch_end(epoch, logs)

    def on_fit_end(self, model: keras.Model) -> None:
        """Rounds weights that were averaged or restored at the end."""
        if self._ranges.finish(model):
            self.warn(
                NoEffectWarning,
                f"training ended at step {self._progress.step}, before a "
                "batch with activation ranges, which begin at step "
                f"{self._ranges.begin}: activations stay float.",
            )
        if self._session is None:
            return
        if not self._begun:
            self.warn(
                NoEffectWarning,
                f"training ended at step {self._progress.step}, before "
                f"`begin` at step {self._begin}: nothing was quantized.",
            )
        self._take_up()

    def after_edit(self, model: keras.Model) -> None:
        """Called after edits of the model; quantizes new kernels, too."""
        if (ranges := ActivationRanges.of(model)) is not None:
            ranges.update()
        if self._begun and self._session is not None:
            self._session.attach()

    def progress_logs(self) -> dict[str, float]:
        """Returns the quantized share and the error of the last epoch."""
        return self._logs

    def get_state(self) -> dict[str, Any]:
        """Returns whether quantization has begun, for a resumed fit."""
        return {"begun": self._begun}

    @property
    def is_complete(self) -> bool:
        """Whether kernels are on their grids and activations have ranges."""
        return self._begun and self._ranges.is_complete

    def report(self) -> QuantizationReport:
        """Returns the grid of each kernel, or why it stays float.

        Returns:
            The report of the model of the last fit.

        Raises:
            ValueError: If the callback was not passed to `fit` yet.
        """
        session = self._session or self._idle
        if session is None:
            raise self.report_error("quantized kernels")
        return session.report()

    def _resume_ranges(self, model: keras.Model, is_loaded: bool) -> None:
        if is_loaded:
            self._ranges.rewind(model)

        def load(arrays: Arrays) -> None:
            self._ranges.load(model, arrays)

        self.load_state_of(RANGES, load)
        if self._ranges.is_due(self._progress.step):
            self._ranges.attach(model)

    def _advance(self, step: int) -> None:
        if not self._begun and step >= self._begin:
            self._start()
            self._measure()

    def _start(self) -> None:
        if self._session is not None:
            self._begun = True
            self._session.attach()

    def _take_up(self) -> None:
        session = self._session
        store = session.store if session is not None else None
        if store is not None:
            store.take_up()

    def _measure(self) -> None:
        if self._session is not None:
            self._logs = {
                "quantized": self._session.find_share(),
                "quantization_error": self._session.find_error(),
            }

    def _check_overlap(self, model: keras.Model, keys: set[str]) -> None:
        for other in self.other_callbacks(model):
            if not isinstance(other, Quantization) or not other._session:
                continue
            shared = keys.intersection(other._session.keys)
            if shared:
                raise ValueError(
                    "Two `Quantization` callbacks must not select the same "
                    "kernels. Separate them with `include` and `exclude`. "
                    f"Received: keys={sorted(shared)}"
                )

    def _config_value(self, name: str, value: Any) -> Any:
        if name in ("include", "exclude"):
            return serialize_selector(value)
        return super()._config_value(name, value)

    @classmethod
    def from_config(cls, config: dict[str, Any], **data: Any) -> Any:
        """Creates the callback from a config."""
        config = dict(config)
        patterns = {
            name: deserialize_selector(config.pop(name))
            for name in ("include", "exclude")
            if name in config
        }
        return super().from_config(config, **patterns, **data)
