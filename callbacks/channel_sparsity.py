"""Trains whole channels to zero and removes them in `fit`."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import keras

from keras_netopt.checks import (
    check_choice,
    check_fraction,
    check_integer,
    check_number,
)
from keras_netopt.points import Point, check_point, is_in_steps
from keras_netopt.schedules import Steps
from keras_netopt.selectors import Selector, check_selector
from keras_netopt.serialization import export_class
from keras_netopt.surgery.channels.channel_graph import ChannelGraph
from keras_netopt.surgery.compacting.compact import remove_dead_units
from keras_netopt.surgery.compacting.shrink_targets import (
    REGULARIZERS,
    ShrinkTargets,
    find_shrink_targets,
)
from keras_netopt.surgery.cutting import prune_channels as engine
from keras_netopt.surgery.cutting.channel_pruner import ChannelPruner
from keras_netopt.surgery.cutting.cut_candidates import CutConstraints
from keras_netopt.surgery.cutting.cut_points import CutPoint, list_cut_points
from keras_netopt.surgery.edits.edit_report import EditReport
from keras_netopt.surgery.edits.structure_callback import (
    Edit,
    StructureCallback,
)
from keras_netopt.training import NoEffectWarning
from keras_netopt.training.editing import editing
from keras_netopt.training.group_shrinker import GroupShrinker
from keras_netopt.training.order import LOGGERS
from keras_netopt.training.slot_checks import check_optimizer


@export_class
class ChannelSparsity(StructureCallback):
    """Trains whole channels to zero, then removes them.

    After each step of the optimizer, a soft threshold of the learning rate
    times `strength` shrinks every channel that may be removed. Channels that
    the loss does not need become exactly zero. At `end` they are removed with
    all weights coupled to them, and training goes on without the penalty: the
    model becomes an ordinary smaller Keras model.

    "bn_scale" is network slimming: it shrinks the scales of batch
    normalization. "group_lasso" needs no normalization: it shrinks the norm
    of all weights that make a channel.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> model = keras.Sequential([
    ...     keras.Input((8,)),
    ...     keras.layers.Dense(32, activation="relu", name="hidden"),
    ...     keras.layers.Dense(1, name="out"),
    ... ])
    >>> model.compile("sgd", "mse")
    >>> x, y = np.random.normal(size=(64, 8)), np.zeros((64, 1))
    >>> channels = netopt.callbacks.ChannelSparsity(
    ...     strength=0.01, regularizer="group_lasso", sparsity=0.5
    ... )
    >>> history = model.fit(x, y, epochs=4, verbose=0, callbacks=[channels])
    >>> model.get_layer("hidden").units
    16

    Args:
        strength: Factor of the penalty, a float of at least 0. A channel
            becomes zero if each step of the optimizer, divided by the
            learning rate, moves its norm by less. With SGD that is the size
            of its gradient, with momentum m that divided by 1 - m; with Adam
            it is near 0.1 to 1 for all weights. Defaults to `1e-4`, as in
            network slimming.
        regularizer: "bn_scale" or "group_lasso". The penalty of "group_lasso"
            is multiplied by the root of the number of weights. Defaults to
            `"bn_scale"`.
        sparsity: Share of the channels to remove at `end`, a float in [0, 1):
            those with the lowest norm in all layers, zero or not. Defaults to
            `None`: those that are zero, without an effect on the outputs.
        end: Point at which the channels are removed: a fraction of the fit,
            an int of steps, "3ep" or "500step"; fractions and epochs are cut
            at epoch begins. `1.0` removes them after the last epoch. Defaults
            to `0.7`.
        min_channels: Channels that every layer keeps with `sparsity`. Defaults
            to `8`.
        include: Layers to shrink: a regular expression searched in the
            layer's path, "first" or "last" (layer whose channels may be
            removed), a layer, a layer class, a `callable(layer) -> bool`, or
            a list of those. Coupled layers follow. Defaults to `None`: all.
        exclude: Layers not to shrink, in the same form. Defaults to `None`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, at construction; before
            the first step, if the model has no graph, no channel can be
            shrunk, a selector matches nothing, `end` lies after the fit or
            the optimizer is not supported.

    Reference:
        Liu et al., 2017, https://arxiv.org/abs/1708.06519 (network
        slimming); Wen et al., 2016, https://arxiv.org/abs/1608.03665 (group
        lasso of channels).
    """

    should_precede = ("ModelCheckpoint", *LOGGERS)
    log_keys = {
        **StructureCallback.log_keys,
        "dead_channels": "share of the channels that are zero, in [0, 1]",
    }
    selector_args = ("include", "exclude")

    def __init__(
        self,
        strength: float = 1e-4,
        *,
        regularizer: str = "bn_scale",
        sparsity: float | None = None,
        end: Point = 0.7,
        min_channels: int = 8,
        include: Selector | None = None,
        exclude: Selector | None = None,
    ) -> None:
        super().__init__()
        if check_number(strength, "strength") < 0:
            raise ValueError(
                "Argument `strength` must be a float of at least 0. "
                f"Received: strength={strength!r}"
            )
        check_choice(regularizer, "regularizer", REGULARIZERS)
        if sparsity is not None:
            check_fraction(sparsity, "sparsity")
        check_point(end, "end")
        check_integer(min_channels, "min_channels", minimum=1)
        check_selector(include, "include")
        check_selector(exclude, "exclude")
        self.strength = strength
        self.regularizer = regularizer
        self.sparsity = sparsity
        self.end = end
        self.min_channels = min_channels
        self.include = include
        self.exclude = exclude
        self._shrinker: GroupShrinker | None = None
        self.reset()

    def reset(self) -> None:
        """Resets the state that belongs to one model."""
        super().reset()
        self._end_penalty()
        self._is_cut = False
        self._dead = 0.0
        self._points: tuple[CutPoint, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether the channels have been removed."""
        return self._is_cut

    def on_model_ready(self, model: keras.Model) -> None:
        """Finds the channels and adds the penalty to the step."""
        self._end_penalty()
        if self._is_cut or self._backup.get("cut"):
            return
        check_optimizer(model)
        self._points = list_cut_points(
            Steps({self.end: self.sparsity or 0.0}),
            self._progress.run,
            1,
            snap=not is_in_steps(self.end),
        )
        found = self._find(model)
        if found.frozen:
            self.warn(NoEffectWarning, _describe_frozen(found.frozen))
        elif not found.groups:
            self.warn(NoEffectWarning, self._describe_none(model))
        if found.groups:
            self._shrinker = GroupShrinker(
                model, found.groups, self.strength, self
            )

    def on_epoch_end(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called by Keras; counts the channels that are zero."""
        if self._shrinker is not None:
            self._dead = self._shrinker.dead_share()
        super().on_epoch_end(epoch, logs)

    def after_edit(self, model: keras.Model) -> None:
        """Finds the channels again, after any edit of the model."""
        super().after_edit(model)
        if self._shrinker is not None:
            found = self._find(model, is_checked=True)
            self._shrinker.set_groups(found.groups)

    def has_due_edits(self) -> bool:
        """Whether the cut is due; does not touch the model."""
        return (
            self._shrinker is not None
            and self.end != 1.0
            and bool(self._points)
            and self._points[0].reached(self._progress)
        )

    def due_edits(self) -> Sequence[Edit]:
        """Ends the penalty and returns the cut."""
        model = self.model
        self._end_penalty()
        self._is_cut = True
        if self.sparsity is None:
            return (self._remove_dead,)
        self._dead = 0.0
        cut = self._pruner(model).choose_units(model, self.sparsity)
        if not cut.units:
            return ()
        return (functools.partial(engine.apply_cut, cut=cut),)

    def on_fit_end(self, model: keras.Model) -> None:
        """Makes the cut of `end=1.0`; warns if the fit ended before it."""
        if self._shrinker is None:
            return
        if self.end == 1.0:
            self.apply_edits(self.due_edits())
            return
        self._end_penalty()
        self.warn(
            NoEffectWarning,
            f"training ended before `end={self.end!r}`, so no channel was "
            "removed: call `sparsity.compact(model)`, or train longer.",
        )

    def set_state(self, state: dict[str, Any]) -> None:
        """Restores whether the cut was made."""
        self._is_cut = state["cut"]
        self._dead = state["dead"]
        if self._is_cut:
            self._end_penalty()

    def get_state(self) -> dict[str, Any]:
        """Returns the state that a resumed fit restores."""
        state = super().get_state()
        return {**state, "cut": self._is_cut, "dead": self._dead}

    def progress_logs(self) -> dict[str, float]:
        """Returns the size and the share of channels that are zero."""
        logs = super().progress_logs()
        return {**logs, "dead_channels": self._dead} if logs else {}

    def report(self) -> EditReport:
        """Returns the cut: widths, sizes, and why other layers stay.

        Returns:
            The report.

        Raises:
            ValueError: If no cut was made yet.
        """
        if not self.reports:
            raise self.report_error("cut")
        return self.reports[-1]

    def _remove_dead(self, model: keras.Model) -> EditReport:
        with editing(model):
            report = remove_dead_units(model, self._limits(is_checked=True))
        if not report.widths:
            self.warn(
                NoEffectWarning,
                f"no channel can be removed: {self._dead:.0%} of them are "
                "zero, and `report()` names those that stay. Raise "
                f"`strength`, which is {self.strength:g}, or set `sparsity`.",
            )
        self._dead = 0.0
        return report

    def _end_penalty(self) -> None:
        if self._shrinker is not None:
            self._shrinker.detach()
            self._shrinker = None

    def _limits(self, *, is_checked: bool) -> CutConstraints:
        return CutConstraints(
            min_channels=1 if self.sparsity is None else self.min_channels,
            include=self.include,
            exclude=self.exclude,
            with_first=True,
            is_checked=is_checked,
        )

    def _find(
        self, model: keras.Model, *, is_checked: bool = False
    ) -> ShrinkTargets:
        limits = self._limits(is_checked=is_checked)
        return find_shrink_targets(
            ChannelGraph(model), limits, self.regularizer
        )

    def _pruner(self, model: keras.Model) -> ChannelPruner:
        """Returns the pruner of the channels that were shrunk."""
        by_scale = self.regularizer == "bn_scale"
        pruner = ChannelPruner.create(
            score="bn_scale" if by_scale else "l2", allocation="global"
        )
        limits = dataclasses.replace(
            self._limits(is_checked=True),
            include=self._find(model, is_checked=True).makers,
        )
        return dataclasses.replace(pruner, limits=limits)

    def _describe_none(self, model: keras.Model) -> str:
        remedy = (
            "Use `regularizer='group_lasso'`, which needs no batch "
            "normalization, or name other layers in `include`."
            if self.regularizer == "bn_scale"
            else "Name other layers in `include`, or lower `min_channels`."
        )
        kind = "scale of a batch normalization" * (
            self.regularizer == "bn_scale"
        )
        return (
            f"the model has no {kind or 'channel'} that can be shrunk, so "
            f"nothing changes. {remedy}"
        )


def _describe_frozen(paths: list[str]) -> str:
    more = f" and {len(paths) - 4} more" if len(paths) > 4 else ""
    return (
        f"weights of {', '.join(paths[:4])}{more} are frozen, so the channels "
        "that they make are not shrunk. Make them trainable, or name the "
        "layers in `exclude`."
    )
