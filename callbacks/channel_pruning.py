"""Cuts whole channels out of a model while `fit` runs."""

import dataclasses
import functools
import os
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_netopt import cost
from keras_netopt.checks import check_fraction, check_integer
from keras_netopt.schedules import Constant, Schedule, Steps
from keras_netopt.selectors import (
    Selector,
    deserialize_selector,
    serialize_selector,
)
from keras_netopt.serialization import export_class
from keras_netopt.surgery.cutting import channel_pruning as engine
from keras_netopt.surgery.cutting import scores
from keras_netopt.surgery.cutting.channel_recipe import Base, ChannelRecipe, Cut
from keras_netopt.surgery.cutting.cut_points import (
    CutPoint,
    cut_points,
    default_schedule,
)
from keras_netopt.surgery.edits.edit_report import EditReport, combine_reports
from keras_netopt.surgery.edits.structure_callback import (
    Edit,
    StructureCallback,
)
from keras_netopt.training import NoEffectWarning
from keras_netopt.training.order import LOGGERS
from keras_netopt.training.slots import check_optimizer


@export_class
class ChannelPruning(StructureCallback):
    """Makes a model physically smaller during `fit`: whole channels go.

    Add it to `callbacks` and train as always. In a few cuts the least
    important channels, features and attention heads leave the model, with
    everything that is coupled to them; the rest trains on with its optimizer
    state. The model stays the same object and becomes an ordinary smaller
    Keras model, faster on every device.

    The loss jumps at a cut and comes back: that is expected. Each cut also
    costs a new compilation. `params`, `macs` and `channels` (the share that
    is left) are in the logs. The shape to compare with is the same one
    trained from scratch.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> model = keras.Sequential([
    ...     keras.Input((8,)),
    ...     keras.layers.Dense(64, activation="relu", name="hidden"),
    ...     keras.layers.Dense(1, name="out"),
    ... ])
    >>> model.compile("adam", "mse")
    >>> x, y = np.random.normal(size=(64, 8)), np.zeros((64, 1))
    >>> history = model.fit(
    ...     x, y, epochs=4, verbose=0,
    ...     callbacks=[netopt.callbacks.ChannelPruning(0.5)],
    ... )
    >>> model.get_layer("hidden").units
    32
    >>> history.history["channels"]
    [1.0, 0.875, 0.625, 0.5]

    Args:
        ratio: Share to cut away, a float in [0, 1) reached by `steps` equal
            cuts between 10 % and 60 % of the fit, or a schedule from
            `keras_netopt.schedules` that never falls: `Constant` and `Steps`
            cut at their points, ramps in `steps` cuts.
        score: What a channel is worth: "magnitude" (or "l1"), "l2",
            "bn_scale", "taylor" (needs `data`), "fpgm", "random", or a
            `callable(variable) -> array` of the variable's shape. Defaults
            to `"magnitude"`.
        target: What `ratio` is a share of: "channels", "macs", "params" or
            measured "latency". Defaults to `"channels"`.
        allocation: "uniform" (the same share of every layer), "global" (the
            weakest of all layers) or "isomorphic" (the weakest among layers
            of equal structure). Defaults to `"uniform"`.
        steps: Number of cuts, at least 1, made at epoch begins where the fit
            has more than one epoch. Defaults to `4`.
        round_to: New widths are multiples of so many channels, rounded down;
            layers with fewer are left alone. `None` allows any width.
            Defaults to `8`.
        min_channels: Channels that every layer keeps. Defaults to `8`.
        include: Layers to cut: a name, a path, a regular expression that is
            searched in the path, a layer, a layer class, or a list of those.
            Defaults to `None`: all but the first convolution.
        exclude: Layers to leave alone, likewise. Defaults to `None`.
        data: `(x, y)` arrays or an iterable of such batches, for "taylor"
            and `recalibrate`. Defaults to `None`.
        recalibrate: Whether batch normalization measures its averages anew
            on `data` after each cut. Defaults to `False`.
        meter: `callable(model) -> float` for "latency", called at the first
            cut on copies of the model, at most 8 times. Defaults to `None`:
            a LiteRT file on one thread under TensorFlow, `predict_on_batch`
            of one sample elsewhere, in milliseconds.
        allow_inexact: Whether channels may go that a layer, group or RMS
            normalization mixes. Defaults to `False`.
        seed: Seed of "random". Defaults to `0`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, at construction; if the
            schedule does not fit the fit, the model has no graph, patterns
            match nothing, the score does not work or the optimizer cannot
            follow, before the first step.

    Reference:
        Li et al., 2016, https://arxiv.org/abs/1608.08710 (magnitude of
        filters); Fang et al., 2023, https://arxiv.org/abs/2301.12900
        (coupled groups).
    """

    should_precede = ("ModelCheckpoint", *LOGGERS)
    log_keys = {
        "params": "parameters of the model",
        "macs": "multiply-accumulates of a forward pass of one sample",
        "channels": "share of the prunable channels that are kept, in (0, 1]",
    }
    data_args = ("data",)

    def __init__(
        self,
        ratio: float | Schedule,
        *,
        score: Any = "magnitude",
        target: str = "channels",
        allocation: str = "uniform",
        steps: int = 4,
        round_to: int | None = 8,
        min_channels: int = 8,
        include: Selector | None = None,
        exclude: Selector | None = None,
        data: Any = None,
        recalibrate: bool = False,
        meter: Callable[[keras.Model], float] | None = None,
        allow_inexact: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.recipe = ChannelRecipe.create(
            score=score,
            allocation=allocation,
            target=target,
            round_to=round_to,
            min_channels=min_channels,
            include=include,
            exclude=exclude,
            seed=seed,
            allow_inexact=allow_inexact,
        )
        check_integer(steps, "steps", minimum=1)
        self.schedule = _as_schedule(ratio, steps)
        scores.check_data(score, data)
        engine.check_recalibrate(recalibrate, data)
        _check_meter(meter)
        self.ratio = ratio
        self.score = score
        self.target = target
        self.allocation = allocation
        self.steps = steps
        self.round_to = round_to
        self.min_channels = min_channels
        self.include = include
        self.exclude = exclude
        self.data = data
        self.recalibrate = recalibrate
        self.meter = meter
        self.allow_inexact = allow_inexact
        self.seed = seed
        self.reset()

    def reset(self) -> None:
        """Resets what belongs to one model."""
        super().reset()
        self._base: Base | None = None
        self._share: float | None = None
        self._kept = 1.0
        self._points: tuple[CutPoint, ...] = ()
        self._made = 0
        self._complete = False

    def on_model_ready(self, model: keras.Model) -> None:
        """Finds what can be cut, and when; nothing is cut yet."""
        cut = self.recipe.choose(model, 0.0)
        if not cut.blocks:
            self.warn(NoEffectWarning, engine.nothing_to_cut(cut))
            self._points = ()
            return
        check_optimizer(model)
        if self._base is None:
            self._base = self.recipe.base(model)
        # A fit that goes on after the last cut may be of any length.
        self._points = () if self._complete else self._find_points()
        self._made = 0
        if self._points:
            self.recipe.try_score(model, self.data)

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes up the model of the first fit, and the cuts made since."""
        if state["base"] is not None:
            self._base = Base(**state["base"])
        self._share = state["share"]
        self._kept = state["kept"]
        self._made = state["made"]
        self._complete = state["complete"]

    def get_state(self) -> dict[str, Any]:
        """Returns what a resumed fit takes up."""
        base = self._base and dataclasses.asdict(self._base)
        return {
            **super().get_state(),
            "base": base,
            "share": self._share,
            "kept": self._kept,
            "made": self._made,
            "complete": self._complete,
        }

    def has_due_edits(self) -> bool:
        """Tells without touching the model whether a cut is due."""
        return self._made < len(self._points) and self._points[
            self._made
        ].reached(self._progress)

    def due_edits(self) -> Sequence[Edit]:
        """Returns the cut that is due, nothing where it would be empty."""
        value = 0.0
        while self.has_due_edits():
            value = self._points[self._made].value
            self._made += 1
        self._complete = self._made == len(self._points)
        try:
            cut = self._choose(value)
        except scores.NotFinite as error:
            self.warn(
                NoEffectWarning,
                f"a cut to {value:.0%} was left out. {error}. Lower the "
                "learning rate or clip the gradients.",
            )
            return ()
        self._kept = cut.kept
        return (functools.partial(self._cut, cut=cut),) if cut.units else ()

    def on_fit_end(self, model: keras.Model) -> None:
        """Says so where the fit ended before the last cut."""
        if self._made < len(self._points):
            wanted = self.schedule.final
            self.warn(
                NoEffectWarning,
                f"training ended with {self._made} of {len(self._points)} "
                f"cuts made, {1 - self._kept:.0%} of the channels are gone. "
                f"Train longer, or let the schedule reach {wanted:.0%} "
                "earlier.",
            )

    def progress_logs(self) -> dict[str, float]:
        """Returns size and share of channels, known without a device read."""
        logs = super().progress_logs()
        return {**logs, "channels": self._kept} if logs else {}

    @property
    def is_complete(self) -> bool:
        """Whether the last cut has been made."""
        return self._complete

    def report(self) -> EditReport:
        """Returns what was cut so far, and what was left alone and why.

        Returns:
            One report of all cuts of the model of the last fit.

        Raises:
            ValueError: If nothing was cut yet.
        """
        if not self.reports:
            raise ValueError(
                "Pass the callback to `fit` and let it cut before asking for "
                f"its report. Received: {self!r}"
            )
        return combine_reports(self.reports)

    def _find_points(self) -> tuple[CutPoint, ...]:
        run = self._progress.run
        is_own = self.schedule is not self.ratio
        is_ramp = not isinstance(self.schedule, Constant | Steps)
        snap = is_own or (is_ramp and run.steps_per_epoch is not None)
        return cut_points(self.schedule, run, self.steps, snap=snap)

    def _choose(self, value: float) -> Cut:
        model: Any = self.model
        choose = functools.partial(
            self.recipe.choose,
            model,
            base=self._base,
            data=self.data,
            meter=self.meter or measure_milliseconds,
        )
        final = self.schedule.final
        if self.target != "latency" or final == 0:
            return choose(value)
        notes: tuple[str, ...] = ()
        share = self._share
        if share is None:
            # Measured once, for the last cut; the others go part of the way.
            last = choose(final)
            share, notes = last.share or 0.0, last.notes
            self._share = share
        cut = choose(value, share=share * value / final)
        return dataclasses.replace(cut, notes=notes)

    def _cut(self, model: keras.Model, *, cut: Cut) -> EditReport:
        return engine.make_cut(
            model,
            cut,
            allow_inexact=self.allow_inexact,
            data=self.data if self.recalibrate else None,
        )

    def _config_value(self, name: str, value: Any) -> Any:
        if name in ("include", "exclude"):
            return serialize_selector(value)
        return super()._config_value(name, value)

    @classmethod
    def from_config(cls, config: dict[str, Any], **data: Any) -> Any:
        """Builds the callback again; `data` is passed beside the config."""
        config = dict(config)
        patterns = {
            name: deserialize_selector(config.pop(name))
            for name in ("include", "exclude")
            if name in config
        }
        return super().from_config(config, **patterns, **data)


def measure_milliseconds(model: keras.Model) -> float:
    """Measures the latency of one sample, the default meter.

    Under TensorFlow that is a LiteRT file on one thread: the time that the
    file will take, in that thread's CPU time, which a busy machine does not
    disturb. Other backends cannot write one; there `predict_on_batch` is
    timed.

    Args:
        model: A built model.

    Returns:
        The median, in milliseconds.
    """
    if keras.backend.backend() != "tensorflow":
        return cost.measure_latency({"model": model})["model"].median
    from keras_netopt import export

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.tflite")
        export.to_litert(model, path)
        return cost.measure_latency({"model": path})["model"].median


def _as_schedule(ratio: Any, steps: int) -> Schedule:
    if isinstance(ratio, Schedule):
        return ratio
    try:
        return default_schedule(check_fraction(ratio, "ratio"), steps)
    except TypeError as error:
        raise TypeError(
            "Argument `ratio` must be a float in [0, 1) or a schedule from "
            f"`keras_netopt.schedules`. Received: ratio={ratio!r}"
        ) from error


def _check_meter(meter: Any) -> None:
    if meter is not None and not callable(meter):
        raise TypeError(
            "Argument `meter` must be a callable(model) -> float. "
            f"Received: meter={meter!r}"
        )
