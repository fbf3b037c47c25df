"""Unfreezes or freezes groups of layers while `fit` runs."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_netopt.checks import check_choice, check_integer
from keras_netopt.fine_tuning.layer_groups import (
    GroupOfLayers,
    find_frozen,
    make_groups,
)
from keras_netopt.fine_tuning.unfreezing_report import (
    GroupRow,
    UnfreezingReport,
)
from keras_netopt.fine_tuning.unfreezing_schedule import (
    SCHEMES,
    UnfreezingSchedule,
    check_interval,
)
from keras_netopt.points import LATER, Point, check_point
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
    NotIntendedUseWarning,
    ResumableCallback,
)
from keras_netopt.training.frozen_layers import (
    FrozenLayers,
    count_trainable,
)
from keras_netopt.training.frozen_slots import (
    await_slots,
    load_aside,
    read_aside,
    take_awaited_slots,
)
from keras_netopt.training.optimizers import (
    build_optimizer,
    count_updates,
    find_optimizers,
)
from keras_netopt.training.order import LOGGERS, find_fit_arguments
from keras_netopt.training.own_train_step import has_own_train_step


@export_class
class GradualUnfreezing(ResumableCallback):
    """Trains the last layers first, and opens one group after another.

    Use it to fine-tune a trained model: the new head learns before the
    gradients reach the layers below. All happens inside one `fit` call. A
    frozen layer has `trainable=False`: its weights are not in the training
    step and do not change by a bit, neither by weight decay nor by averages,
    and its batch normalization stands still. The optimizer, its counters and
    the slots of all other weights continue.

    Give the callback a trainable model: it freezes the groups itself. Weights
    that are frozen before `fit` stay frozen and belong to no group, and layers
    outside the given groups keep their flags. At the end of `fit` every group
    is trainable again, in each scheme. If `fit` is interrupted, the flags
    stay as they were, and the next `fit` call with the callback resets them.
    A `.keras` file that was written in between holds the flags of that step:
    set `trainable = True` on each of its layers before you continue the
    training. A warning names layers that were left out.

    The logs hold `trainable_params`.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(
    ...     16, name="body"), keras.layers.Dense(3, name="head")])
    >>> model.compile("adam", "mse")
    >>> x, y = np.ones((64, 8)), np.ones((64, 3))
    >>> unfreezing = netopt.callbacks.GradualUnfreezing(every="1ep")
    >>> history = model.fit(
    ...     x, y, epochs=3, verbose=0, callbacks=[unfreezing])
    >>> history.history["trainable_params"]
    [51, 195, 195]
    >>> unfreezing.report().rows[1].begin
    2

    Args:
        groups: A list of selectors, one per group, in the order in which the
            groups open or freeze, each a regular expression searched in the
            layer's path, "first", "last", a layer, a layer class, a
            `callable(layer) -> bool`, or a list of those. Or the number of
            groups, at least 2: the last layer alone, the others divided
            evenly. Defaults to `None`: one group per layer or block of the
            model itself with weights, or 4 groups if there are more.
        scheme: "unfreeze" begins with the first group and adds the next at
            each event; "chain_thaw" trains one group at a time and then all;
            "freeze" begins with all and freezes the next at each event, all
            but the last group. Groups that are not given begin with the last
            layers for "unfreeze", with the first for "freeze", and with the
            last, then the first, for "chain_thaw". Defaults to `"unfreeze"`.
        every: Distance between two events: a float in (0, 1] (share of the
            fit), an int of steps, "1ep" or "500step". Defaults to `None`:
            evenly, so that the last event is halfway between `begin` and the
            end of the fit.
        begin: Point of the fit from which the distances are counted, in the
            same form. Defaults to `0`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, at construction; before
            the first step, if the model is not built, a selector matches
            nothing or only frozen layers, two groups share a layer or a
            weight, the model has too few layers, the fit is too short for
            all events, or the order of callbacks is wrong.

    Reference:
        Howard and Ruder, 2018, https://arxiv.org/abs/1801.06146 ("unfreeze");
        Felbo et al., 2017, https://arxiv.org/abs/1708.00524 ("chain_thaw");
        Brock et al., 2017, https://arxiv.org/abs/1706.04983 ("freeze",
        without its learning rates).
    """

    should_precede = ("ModelCheckpoint", *LOGGERS)
    log_keys = {"trainable_params": "number of trainable parameters"}

    def __init__(
        self,
        groups: Sequence[Selector] | int | None = None,
        *,
        scheme: str = "unfreeze",
        every: Point | None = None,
        begin: Point = 0,
    ) -> None:
        super().__init__()
        _check_groups(groups)
        check_choice(scheme, "scheme", SCHEMES)
        if every is not None:
            check_interval(every, "every")
        check_point(begin, "begin")
        self.groups = groups
        self.scheme = scheme
        self.every = every
        self.begin = begin
        self.reset()

    def reset(self) -> None:
        """Resets the state that belongs to one model."""
        self._groups: list[GroupOfLayers] = []
        self._schedule = UnfreezingSchedule(self.scheme, 2)
        self._events: list[int] = []
        self._done = 0
        self._layers: FrozenLayers | None = None
        self._left_out: list[str] = []
        self._count = self._next_count = 0
        self._sums: dict[str, int] = {}

    def set_model(self, model: Any) -> None:
        """Called by Keras before any callback may load a checkpoint."""
        super().set_model(model)
        if model is not None and find_fit_arguments(model):
            await_slots(model)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Called by Keras."""
        super().on_train_begin(logs)
        if not self._attached:
            raise ValueError(
                "GradualUnfreezing needs a built model, because layers are "
                "frozen before the first step: call `model.build` or "
                f"`model(x)` before `fit`. Received: model={self._model.name!r}"
            )

    def on_model_ready(self, model: keras.Model) -> None:
        """Divides the layers into groups and computes the timetable."""
        others = self.other_callbacks(model)
        if any(isinstance(other, GradualUnfreezing) for other in others):
            raise ValueError(
                "GradualUnfreezing must be used once per `fit`. "
                f"Received: another one beside {self!r}"
            )
        FrozenLayers.release_all(model)  # After an interrupted `fit` call.
        made = make_groups(model, self.groups)
        self._left_out = []
        if not isinstance(self.groups, list | tuple):
            made = _in_order(made, self.scheme)
            self._left_out = find_frozen(model)
        schedule = UnfreezingSchedule(self.scheme, len(made))
        events = schedule.find_steps(self._progress.run, self.begin, self.every)
        self._groups, self._schedule, self._events = made, schedule, events
        self._done = 0
        self._layers = FrozenLayers(model, [one.layers for one in made])

    def on_length_known(self, model: keras.Model) -> None:
        """Computes the events in epochs; too late ones never happen."""
        if any(step >= LATER for step in self._events):
            run = self._progress.run
            self._events = self._schedule.find_steps(
                run, self.begin, self.every
            )

    def on_resume(self, model: keras.Model) -> None:
        """Freezes the groups that are frozen at this step."""
        saved = self.loaded_state()
        if self._left_out and not saved:
            self._warn_of_continued_training(model)
        if len(find_optimizers(model)) == 1:
            build_optimizer(model)  # With slots of all groups.
        self._open(saved[0]["done"] if saved else 0)
        take_awaited_slots(model)
        if saved:
            load_aside(model, saved[1])
        self._advance(self._progress.step)
        self._count = self._next_count

    def on_steps(self, before: int, after: int) -> None:
        """Opens or freezes the groups whose step has come."""
        self._count = self._next_count
        if self._sums:
            self._check_frozen()
        self._advance(after)

    def on_fit_end(self, model: keras.Model) -> None:
        """Makes every group trainable again."""
        if self._layers is None:
            return
        if not self.is_complete:
            self.warn(
                NoEffectWarning,
                f"training ended at step {self._progress.step}, before the "
                f"events at steps {self._events[self._done :]}: groups "
                "stayed frozen, or were never frozen. Train longer, or choose "
                "a smaller `every`.",
            )
        self._layers.set_open(range(len(self._groups)))
        FrozenLayers.release_all(model)

    def progress_logs(self) -> dict[str, float]:
        """Returns the number of parameters that the last step trained."""
        return {"trainable_params": self._count} if self._layers else {}

    def get_state(self) -> dict[str, Any]:
        """Returns the number of events that have happened."""
        return {"done": self._done}

    def save_state(self) -> tuple[dict[str, Any], Arrays]:
        """Adds the optimizer slots of frozen weights, which Keras omits."""
        values, _ = super().save_state()
        return values, read_aside(self._model)

    @property
    def is_complete(self) -> bool:
        """Whether all groups have opened or are frozen."""
        return self._layers is not None and self._done == len(self._events)

    def report(self) -> UnfreezingReport:
        """Returns in which steps each group of layers is trained.

        Returns:
            The report of the last fit.

        Raises:
            ValueError: If the callback was not passed to `fit` yet.
        """
        if self._layers is None:
            raise self.report_error("groups of layers")
        rows = []
        for number, group in enumerate(self._groups):
            begin, end = self._schedule.find_span(
                number, self._events[: self._done]
            )
            rows.append(GroupRow(group.paths, group.parameters, begin, end))
        return UnfreezingReport(self.scheme, tuple(rows))

    def _advance(self, step: int) -> None:
        due = sum(event <= step for event in self._events)
        if due > self._done:
            self._open(due)

    def _open(self, done: int) -> None:
        model = self.model
        if self._layers is None:
            return
        self._done = done
        self._layers.set_open(self._schedule.open_after(done))
        self._next_count = count_trainable(model)
        if has_own_train_step(model):
            self._sums = self._layers.checksums()

    def _warn_of_continued_training(self, model: keras.Model) -> None:
        """Loaded models keep the flags of the step that wrote the file."""
        found = find_optimizers(model).values()
        if self._progress.step or any(count_updates(one) for one in found):
            self.warn(
                NotIntendedUseWarning,
                "the training continues, and these layers are frozen, belong "
                f"to no group and will not open: {', '.join(self._left_out)}. "
                "If the model was loaded from a file that was written while "
                "they waited, set `trainable = True` on each of them before "
                "`fit`; if they shall stay frozen, give `groups` as a list.",
            )

    def _check_frozen(self) -> None:
        """Compares frozen weights after the first step of a user's own."""
        before, self._sums = self._sums, {}
        _ = self.model  # On JAX, this syncs the state.
        now = self._layers.checksums() if self._layers else {}
        moved = [path for path in before if now.get(path) != before[path]]
        if moved:
            self.warn(
                NotIntendedUseWarning,
                "the model's own `train_step` changes weights that are "
                f"frozen, such as '{moved[0]}'. It must update "
                "`model.trainable_variables` as they are in each step.",
            )

    def _config_value(self, name: str, value: Any) -> Any:
        if name == "groups":
            if isinstance(value, int) or value is None:
                return value
            return [serialize_selector(one) for one in value]
        return super()._config_value(name, value)

    @classmethod
    def from_config(cls, config: dict[str, Any], **data: Any) -> Any:
        """Creates the callback from a config."""
        config, given = dict(config), dict[str, Any]()
        if isinstance(config.get("groups"), list):
            groups = config.pop("groups")
            given["groups"] = [deserialize_selector(one) for one in groups]
        return super().from_config(config, **given, **data)


def _check_groups(groups: Any) -> None:
    if groups is None:
        return
    if not isinstance(groups, list | tuple):
        check_integer(groups, "groups", minimum=2)
        return
    if len(groups) < 2:
        raise ValueError(
            "Argument `groups` must hold at least two selectors: with fewer "
            f"nothing would be frozen. Received: groups={groups!r}"
        )
    for selector in groups:
        check_selector(selector, "groups")


def _in_order(made: list[GroupOfLayers], scheme: str) -> list[GroupOfLayers]:
    """Puts groups from first to last layers in the order of their events."""
    if scheme == "freeze":
        return made
    *body, head = made
    return [head, *(body if scheme == "chain_thaw" else body[::-1])]
