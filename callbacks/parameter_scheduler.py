"""Sets weights of layers along a schedule during `fit`."""

from collections.abc import Mapping
from typing import Any

import keras

from keras_netopt.checks import check_choice
from keras_netopt.depth.scheduled_variables import (
    SCALES,
    ScheduledVariables,
    check_values,
    find_scheduled_variables,
)
from keras_netopt.schedules import Constant, Schedule, Steps, as_schedule
from keras_netopt.selectors import Selector, check_selector
from keras_netopt.serialization import export_class
from keras_netopt.training import NoEffectWarning, ResumableCallback
from keras_netopt.training.order import LOGGERS

PERIODS = ("step", "epoch")


@export_class
class ParameterScheduler(ResumableCallback):
    """Sets non-trainable weights of layers along a schedule.

    Use it to warm up the drop rate of stochastic depth, for progressive layer
    dropping, or to change a temperature or a loss weight during `fit`. A new
    value takes effect in the compiled step without retracing and is saved
    with the model. The logs hold it as `scheduled_<attribute>`.

    The value is a function of the optimizer step, so a resumed `fit` repeats
    it exactly. With `steps_per_execution=n` it is constant over n steps.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> inputs = x = keras.Input((8,))
    >>> for _ in range(2):
    ...     x = netopt.layers.StochasticDepth(keras.layers.Dense(8))(x)
    >>> model = keras.Model(inputs, x)
    >>> model.compile("sgd", "mse")
    >>> ramp = netopt.schedules.Linear(final=0.5, begin=0.0, end=1.0)
    >>> scheduler = netopt.callbacks.ParameterScheduler(
    ...     "rate", ramp, scale="linear"
    ... )
    >>> x = np.zeros((64, 8), "float32")
    >>> history = model.fit(x, x, epochs=2, verbose=0, callbacks=[scheduler])
    >>> history.history["scheduled_rate"]
    [0.25, 0.5]
    >>> [float(layer.rate.value) for layer in model.layers[1:]]
    [0.25, 0.5]

    Args:
        attribute: Attribute of the layers that holds the weight: "rate" of
            `StochasticDepth` and `LayerDrop`, "cost_weight" of `SkipGate`.
        schedule: A schedule from `keras_netopt.schedules`, a table such as
            `{0.0: 0.1, "3ep": 0.2}`, or a constant number.
        include: Layers to set, among those with that weight: a regular
            expression searched in the layer's path, "first", "last", a layer,
            a layer class, a `callable(layer) -> bool`, or a list of those.
            Defaults to `None`: the layers of this package with that weight.
        scale: "linear" sets layer l of L to l / L times the value. Defaults
            to `None`: every layer gets the value.
        per: When the value is updated, "step" or "epoch". Defaults to
            `"step"`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, at construction; if
            `include` matches nothing, no layer has a weight `attribute`, the
            schedule leaves the range of the weight or the length of the fit,
            or another `ParameterScheduler` sets the same weight, before the
            first step.

    Reference:
        Zhang and He, "Accelerating training of transformer-based language
        models with progressive layer dropping", 2020,
        https://arxiv.org/abs/2010.13369, a special case.
    """

    should_precede = LOGGERS
    schedule_arg = "schedule"
    selector_args = ("include",)
    log_keys = {"scheduled_<attribute>": "value of the scheduled variable"}

    def __init__(
        self,
        attribute: str,
        schedule: float | Schedule | Mapping[Any, float],
        *,
        include: Selector | None = None,
        scale: str | None = None,
        per: str = "step",
    ) -> None:
        super().__init__()
        if not isinstance(attribute, str) or not attribute.isidentifier():
            raise ValueError(
                "Argument `attribute` must be the name of an attribute. "
                f"Received: attribute={attribute!r}"
            )
        check_selector(include, "include")
        if scale is not None:
            check_choice(scale, "scale", SCALES)
        check_choice(per, "per", PERIODS)
        self.attribute = attribute
        self.schedule = _as_schedule(schedule)
        self.include = include
        self.scale = scale
        self.per = per
        self.reset()

    def reset(self) -> None:
        """Forgets the variables of the previous model."""
        self._scheduled: ScheduledVariables | None = None
        self._value: float | None = None

    def on_model_ready(self, model: keras.Model) -> None:
        """Finds the weights and checks the schedule."""
        self.reset()
        variables = find_scheduled_variables(
            model, self.attribute, self.include, self.scale
        )
        if not variables.variables:
            self.warn(
                NoEffectWarning,
                "the model has no keras_netopt layer with a scheduled "
                f"variable `{self.attribute}`. Select layers with `include`.",
            )
            return
        check_values(self.schedule, self._progress.run, variables)
        self._check_overlap(model, variables)
        self._scheduled = variables

    def on_resume(self, model: keras.Model) -> None:
        """Sets the value for the first step."""
        saved = self.loaded_state()
        if saved is not None:
            # An optimizer may have changed the variable since it was set.
            self._value = saved[0]["value"]
        self._assign()

    def on_steps(self, before: int, after: int) -> None:
        """Sets the value for the next step."""
        if self.per == "step":
            self._assign()

    def on_epoch_begin(
        self, epoch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Called by Keras."""
        super().on_epoch_begin(epoch, logs)
        self._assign()

    def on_fit_end(self, model: keras.Model) -> None:
        """Sets the value of the last step, also after restored weights."""
        self._value = None
        self._assign()

    def get_state(self) -> dict[str, Any]:
        """Returns the current value."""
        return {"value": self._value}

    def progress_logs(self) -> dict[str, float]:
        """Returns the current value."""
        if self._value is None:
            return {}
        return {f"scheduled_{self.attribute}": self._value}

    def _config_value(self, name: str, value: Any) -> Any:
        if name == "schedule" and isinstance(value, Mapping):
            value = _as_schedule(value)
        return super()._config_value(name, value)

    def _assign(self) -> None:
        if self._scheduled is None:
            return
        value = self.schedule.at(self._progress.step, self._progress.run)
        if value != self._value:
            self._value = value
            self._scheduled.assign(self.model, value)

    def _check_overlap(
        self, model: keras.Model, variables: ScheduledVariables
    ) -> None:
        own = {id(variable) for variable in variables.variables}
        for other in self.other_callbacks(model):
            if not isinstance(other, ParameterScheduler):
                continue
            scheduled = other._scheduled
            if scheduled and own & {id(v) for v in scheduled.variables}:
                raise ValueError(
                    "Arguments `include` of two ParameterSchedulers must not "
                    "match the same layer for one `attribute`. "
                    f"Received: {self!r} and {other!r}"
                )


def _as_schedule(value: Any) -> Schedule:
    if isinstance(value, Mapping):
        try:
            value = Steps(value)
        except (TypeError, ValueError) as error:
            raise type(error)(
                f"Argument `schedule` must be a table of points: {error}. "
                f"Received: schedule={value!r}"
            ) from error
    return as_schedule(value, "schedule", Constant)
