"""Removes whole channels from a model while `fit` runs."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from keras_netopt.checks import check_fraction
from keras_netopt.cost.summarize import check_countable
from keras_netopt.graph.symbolic import check_input_shape
from keras_netopt.schedules import Schedule
from keras_netopt.selectors import Selector
from keras_netopt.serialization import export_class
from keras_netopt.surgery.cutting import channel_scores
from keras_netopt.surgery.cutting import prune_channels as engine
from keras_netopt.surgery.cutting.channel_pruner import (
    ChannelCut,
    ChannelPruner,
    OriginalSize,
)
from keras_netopt.surgery.cutting.cut_points import (
    CutPoint,
    as_cut_schedule,
    check_cut_count,
    list_cut_points,
)
from keras_netopt.surgery.cutting.default_meter import default_meter
from keras_netopt.surgery.edits.edit_report import (
    EditReport,
    combine_reports,
    sort_widths,
)
from keras_netopt.surgery.edits.structure_callback import (
    Edit,
    StructureCallback,
)
from keras_netopt.training import NoEffectWarning
from keras_netopt.training.order import LOGGERS
from keras_netopt.training.slot_checks import check_optimizer


@export_class
class ChannelPruning(StructureCallback):
    """Removes whole channels from a model during `fit` (structured pruning).

    In a few cuts, the least important channels, features and attention heads
    are removed with every weight coupled to them; training continues with the
    remaining optimizer state. The model stays the same object and becomes an
    ordinary smaller Keras model, faster on every device.

    The loss rises at a cut and falls again in training. Each cut causes a new
    compilation. Compare the result with the same shape trained from scratch.

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
    >>> history.history["channels_kept"]
    [1.0, 0.875, 0.625, 0.5]

    Args:
        sparsity: Share to remove: a float in [0, 1), reached by
            `iterative_steps` equal cuts between 10 % and 60 % of the fit, or
            a schedule from `keras_netopt.schedules` that never falls.
            `Constant` and `Steps` cut at their points, ramps in
            `iterative_steps` cuts. For an absolute goal a
            `callable(model) -> float`, called once before the first step, as
            in `lambda model: meter.sparsity_for(model, 60_000)` with an
            `export.FileMeter` and `resource="bytes"`.
        score: Importance score of a channel: "magnitude" (sum of |w|), "l2",
            "bn_scale" (|gamma| of batch normalization), "taylor" (|w times
            gradient|, needs `calibration_data`), "fpgm" (distance to the
            other channels), "random", or a `callable(variable) -> array` of
            the variable's shape. Defaults to `"magnitude"`.
        allocation: "uniform" (the same share of every layer), "global" (the
            lowest scores of all layers) or "isomorphic" (the lowest scores
            among layers of equal structure). Defaults to `"uniform"`.
        resource: What `sparsity` is a share of: "channels", "macs", "params",
            "bytes" of the LiteRT file, measured "latency", or "meter", any
            other number that `meter` measures. Defaults to `"channels"`.
        iterative_steps: Number of cuts, from 1 to 10,000. They are made at
            epoch begins if the fit has more than one epoch. Defaults to `4`.
        round_to: Multiple of the new widths: each is rounded to the nearest
            one, and the total is kept near `sparsity`. Layers with fewer
            channels are skipped. Defaults to `None`: any width.
        min_channels: Channels that every layer keeps. Defaults to `8`.
        include: Layers to prune: a regular expression searched in the layer's
            path, "first" or "last" (layer whose channels may be removed), a
            layer, a layer class, a `callable(layer) -> bool`, or a list of
            those. Coupled layers are pruned with them. Defaults to `None`:
            all but the first convolution.
        exclude: Layers not to prune, in the same form. Defaults to `None`.
        calibration_data: Inputs, `(x, y)` or an iterable of batches; "taylor"
            needs `(x, y)`, `recalibrate` the inputs. Defaults to `None`.
        meter: `callable(model) -> float` for "latency", "bytes" and "meter",
            called at the first cut, for "bytes" also at the last, on copies
            of the model, at most 8 times. Defaults to `None`: for "bytes"
            `export.FileMeter()`; for "latency" a LiteRT file on one thread
            under TensorFlow, `predict_on_batch` of one sample on other
            backends and for inputs with free axes, in milliseconds.
        recalibrate: Whether the averages of batch normalization are
            recomputed on `calibration_data` after each cut. Defaults to
            `False`.
        seed: Seed of "random". Defaults to `0`.
        allow_inexact: Whether to remove channels that a layer, group or RMS
            normalization reads. Defaults to `False`.
        input_shape: The shape of a typical input, batch axis included, e.g.
            `(None, 128)`; a structure of shapes for several inputs. "macs"
            and "latency" count at this shape where an axis of the inputs is
            free. Defaults to `None`: the shape of
            the training data.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, at construction; before
            the first step, if the schedule does not fit into the fit, the
            model has no graph, a selector matches nothing, the score fails
            or the optimizer is not supported.

    Reference:
        Li et al., 2016, https://arxiv.org/abs/1608.08710 (magnitude of
        filters); Fang et al., 2023, https://arxiv.org/abs/2301.12900
        (coupled groups).
    """

    should_precede = ("ModelCheckpoint", *LOGGERS)
    log_keys = {
        **StructureCallback.log_keys,
        "channels_kept": "share of the prunable channels kept, in (0, 1]",
    }
    data_args = ("calibration_data",)
    selector_args = ("include", "exclude")
    schedule_arg = "sparsity"

    def __init__(
        self,
        sparsity: float | Schedule | Callable[[keras.Model], float],
        *,
        score: Any = "magnitude",
        allocation: str = "uniform",
        resource: str = "channels",
        iterative_steps: int = 4,
        round_to: int | None = None,
        min_channels: int = 8,
        include: Selector | None = None,
        exclude: Selector | None = None,
        calibration_data: Any = None,
        meter: Callable[[keras.Model], float] | None = None,
        recalibrate: bool = False,
        seed: int = 0,
        allow_inexact: bool = False,
        input_shape: Any = None,
    ) -> None:
        super().__init__()
        self.pruner = ChannelPruner.create(
            score=score,
            allocation=allocation,
            resource=resource,
            round_to=round_to,
            min_channels=min_channels,
            include=include,
            exclude=exclude,
            seed=seed,
            allow_inexact=allow_inexact,
        )
        check_cut_count(iterative_steps)
        self._is_found = callable(sparsity) and not isinstance(
            sparsity, Schedule
        )
        self.schedule = as_cut_schedule(
            0.0 if self._is_found else sparsity, iterative_steps
        )
        channel_scores.check_calibration_data(score, calibration_data)
        engine.check_recalibrate(recalibrate, calibration_data)
        engine.check_meter(meter, resource)
        check_input_shape(input_shape)
        self.sparsity = sparsity
        self.score = score
        self.allocation = allocation
        self.resource = resource
        self.iterative_steps = iterative_steps
        self.round_to = round_to
        self.min_channels = min_channels
        self.include = include
        self.exclude = exclude
        self.calibration_data = calibration_data
        self.meter = meter
        self.recalibrate = recalibrate
        self.seed = seed
        self.allow_inexact = allow_inexact
        self.input_shape = input_shape
        self.reset()

    def reset(self) -> None:
        """Resets the state that belongs to one model."""
        super().reset()
        self._base: OriginalSize | None = None
        self._share: float | None = None
        self._found: float | None = None
        self._kept = 1.0
        self._asked: Mapping[str, float] = {}
        self._points: tuple[CutPoint, ...] = ()
        self._made = 0
        self._complete = False

    def on_model_ready(self, model: keras.Model) -> None:
        """Finds the layers to prune and the points of the cuts."""
        cut = self.pruner.choose_units(model, 0.0)
        if not cut.blocks:
            # The function may refuse the model, or need no cut.
            self._find_share(model)
            if self._found != 0:
                self.warn(NoEffectWarning, engine.describe_skipped(cut))
            self._points = ()
            return
        check_optimizer(model)
        if self.resource == "macs" or (
            self.resource == "latency" and self.meter is None
        ):
            check_countable(model, f"`resource={self.resource!r}`")
        if self._base is None:
            self._base = self.pruner.measure_original(model)
        self._find_share(model)
        self._set_points()
        self._made = 0
        if self._points:
            self.pruner.check_score(model, self.calibration_data)

    def _find_share(self, model: keras.Model) -> None:
        """Calls the argument `sparsity` once, if it is a function."""
        if not self._is_found or self._found is not None:
            return
        self._found = self._backup.get("found")
        if self._found is None:
            find: Any = self.sparsity
            self._found = check_fraction(float(find(model)), "sparsity")

    def _set_points(self) -> None:
        if self._found is not None:
            self.schedule = as_cut_schedule(self._found, self.iterative_steps)
        # After the last cut, the fit may have any length.
        self._points = ()
        if not self._complete:
            self._points = list_cut_points(
                self.schedule,
                self._progress.run,
                self.iterative_steps,
                snap=True if self.schedule is not self.sparsity else None,
            )

    def set_state(self, state: dict[str, Any]) -> None:
        """Restores the original size and the number of cuts made."""
        if state["base"] is not None:
            self._base = OriginalSize(**state["base"])
        self._share = state["share"]
        self._kept = state["kept"]
        self._made = state["made"]
        self._complete = state["complete"]
        if state.get("found") is not None:
            self._found = state["found"]
            self._set_points()

    def get_state(self) -> dict[str, Any]:
        """Returns the state that a resumed fit restores."""
        base = self._base and dataclasses.asdict(self._base)
        return {
            **super().get_state(),
            "base": base,
            "share": self._share,
            "found": self._found,
            "kept": self._kept,
            "made": self._made,
            "complete": self._complete,
        }

    def has_due_edits(self) -> bool:
        """Whether a cut is due; does not touch the model."""
        return self._made < len(self._points) and self._points[
            self._made
        ].reached(self._progress)

    def due_edits(self) -> Sequence[Edit]:
        """Returns the cut that is due, if it removes anything."""
        value, model = 0.0, self.model
        while self.has_due_edits():
            value = self._points[self._made].value
            self._made += 1
        self._complete = self._made == len(self._points)
        from keras_netopt.export.kept_process import keep_process

        try:
            with keep_process():
                cut = self.pruner.choose_part(
                    model,
                    value,
                    self.schedule.final,
                    share=self._share,
                    base=self._base,
                    data=self.calibration_data,
                    meter=self.meter or default_meter(self.resource),
                )
        except channel_scores.NonFiniteScores as error:
            self.warn(
                NoEffectWarning,
                f"a cut to {value:.0%} was skipped. {error}. Lower the "
                "learning rate or clip the gradients.",
            )
            return ()
        self._kept, self._asked, self._share = cut.kept, cut.asked, cut.share
        if cut.bytes and self._base is not None and not self._base.bytes:
            self._base = dataclasses.replace(self._base, bytes=cut.bytes)
        return (functools.partial(self._cut, cut=cut),) if cut.units else ()

    def on_fit_end(self, model: keras.Model) -> None:
        """Warns if the fit ended before the last cut."""
        if self._made < len(self._points):
            wanted = self.schedule.final
            self.warn(
                NoEffectWarning,
                f"training ended with {self._made} of {len(self._points)} "
                f"cuts made and {1 - self._kept:.0%} of the channels removed. "
                f"Train longer, or let the schedule reach {wanted:.0%} "
                "earlier.",
            )

    def progress_logs(self) -> dict[str, float]:
        """Returns the size and the share of channels kept."""
        logs = super().progress_logs()
        return {**logs, "channels_kept": self._kept} if logs else {}

    @property
    def is_complete(self) -> bool:
        """Whether the last cut has been made."""
        return self._complete

    def report(self) -> EditReport:
        """Returns the cuts so far, and the skipped layers with reasons.

        Returns:
            One report of all cuts of the model; its notes hold the share
            asked for and the share reached.

        Raises:
            ValueError: If no cut was made yet.
        """
        if not self.reports:
            raise self.report_error("cut")
        asked = self.schedule.final
        if self._points and not self._complete:
            asked = self._points[max(0, self._made - 1)].value
        report = sort_widths(combine_reports(self.reports), self.model)
        return engine.add_shares(
            report, self.resource, asked, self._kept, self._asked
        )

    def _cut(self, model: keras.Model, *, cut: ChannelCut) -> EditReport:
        return engine.apply_cut(
            model,
            cut,
            allow_inexact=self.allow_inexact,
            data=self.calibration_data if self.recalibrate else None,
        )
