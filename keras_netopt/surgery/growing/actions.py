"""The actions of `Growing`: plain data, usable without `fit`."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Self

import keras

from keras_netopt.checks import check_choice, check_integer
from keras_netopt.serialization import export_class
from keras_netopt.surgery.channels.channel_graph import ChannelGraph
from keras_netopt.surgery.edits.edit_report import EditReport
from keras_netopt.surgery.growing.deepen import INITS, deepen
from keras_netopt.surgery.growing.target_width import check_target_width
from keras_netopt.surgery.growing.widen import plan_widen, widen

PRESERVING_INITS = ("residual_zero", "identity")


@dataclass(frozen=True)
class Action:
    """Base of the actions of `Growing`: one edit of one layer.

    Example:

    >>> Widen("hidden", factor=2).operation, Deepen("hidden").operation
    ('widen', 'deepen')
    """

    @property
    def operation(self) -> str:
        """Name of the function in `keras_netopt.surgery` that it calls."""
        return type(self).__name__.lower()

    def apply(self, model: keras.Model, **options: Any) -> EditReport:
        """Makes the edit.

        Args:
            model: The model.
            **options: Settings that all actions of `Growing` share:
                `new_units`, `calibration_data` and `seed`.

        Returns:
            The report.
        """
        raise NotImplementedError

    def rehearse(self, model: keras.Model, **options: Any) -> EditReport:
        """Makes the edit where it is taken back, to find errors early.

        Args:
            model: The model; its optimizer is checked and not changed.
            **options: As for `apply`, without `calibration_data`.

        Returns:
            The report.

        Raises:
            ValueError: If the edit cannot be made.
        """
        return self.apply(model, **options)

    @property
    def is_repeatable(self) -> bool:
        """Whether the edit can be made more than once."""
        return True

    def preserves_outputs(self, new_units: str) -> bool:
        """Returns whether the edit leaves the outputs unchanged by design.

        Args:
            new_units: Initialization of new units in `Growing`.
        """
        return True

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments, JSON-safe; a layer as its name."""
        return {f.name: _serialize(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Creates an action from the output of `get_config`."""
        return cls(**{k: _deserialize(v) for k, v in config.items()})

    def _arguments(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self)}


@export_class
@dataclass(frozen=True)
class Widen(Action):
    """Adds units to a layer: channels, features or attention heads.

    Example:

    >>> import keras
    >>> model = keras.Sequential([
    ...     keras.Input((4,)),
    ...     keras.layers.Dense(3, activation="relu", name="hidden"),
    ...     keras.layers.Dense(2, name="out"),
    ... ])
    >>> report = Widen("hidden", factor=2).apply(model)
    >>> model.get_layer("hidden").units
    6

    Args:
        layer: The layer to widen: its name, its path in nested models
            ("encoder/conv") or the layer object.
        to: Number of units after the edit. Give one of `to`, `factor` and
            `add`. Defaults to `None`.
        factor: New number of units as a multiple of the old one, above 1.
            Defaults to `None`.
        add: Number of units to add, at least 1. Defaults to `None`.
        round_to: Round the width up to a multiple of this. Defaults to
            `None`.
        kind: Kind of units, for layers with several kinds; see
            `surgery.widen`. Defaults to `""`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or not exactly one of
            `to`, `factor` and `add` is given.
    """

    layer: Any
    to: int | None = None
    factor: float | None = None
    add: int | None = None
    round_to: int | None = None
    kind: str = ""

    def __post_init__(self) -> None:
        check_layer(self.layer)
        check_target_width(self.to, self.factor, self.add, self.round_to)

    def apply(self, model: keras.Model, **options: Any) -> EditReport:
        """Calls `surgery.widen`."""
        return widen(model, **self._arguments(), **options)

    def rehearse(self, model: keras.Model, **options: Any) -> EditReport:
        """Calls `surgery.widen`, with the shapes of "gradmax" without data."""
        plan = plan_widen(
            ChannelGraph(model),
            **{**self._arguments(), **options},
            shapes_only=True,
        )
        return self.apply(model, **{**options, "new_units": plan.replay_init})

    @property
    def is_repeatable(self) -> bool:
        """Whether the width is relative (`factor` or `add`)."""
        return self.to is None

    def preserves_outputs(self, new_units: str) -> bool:
        """Every initialization preserves the outputs, except "random"."""
        return new_units != "random"


@export_class
@dataclass(frozen=True)
class Deepen(Action):
    """Inserts new blocks after a layer.

    Example:

    >>> import keras
    >>> model = keras.Sequential([
    ...     keras.Input((4,)),
    ...     keras.layers.Dense(3, activation="relu", name="hidden"),
    ...     keras.layers.Dense(2, name="out"),
    ... ])
    >>> report = Deepen("hidden").apply(model)
    >>> report.after.params > report.before.params
    True

    Args:
        layer: The layer after which the blocks are inserted: its name, its
            path in nested models ("encoder/conv") or the layer object.
        copies: Number of blocks, at least 1. Defaults to `1`.
        init: "residual_zero" and "identity" preserve the outputs, "copy"
            duplicates the layer, "gaussian" is AutoGrow's initialization.
            Defaults to `"residual_zero"`.
        block: `callable(tensor) -> tensor` that builds the block, or its name
            registered with `keras.saving.register_keras_serializable` (needed
            to save the action). Defaults to `None`: a residual block like the
            layer.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.
    """

    layer: Any
    copies: int = 1
    init: str = "residual_zero"
    block: Callable[[Any], Any] | str | None = None

    def __post_init__(self) -> None:
        check_layer(self.layer)
        check_integer(self.copies, "copies", minimum=1)
        check_choice(self.init, "init", INITS)
        is_named = self.block is None or isinstance(self.block, str)
        if not is_named and not callable(self.block):
            raise TypeError(
                "Argument `block` must be a function from tensor to tensor. "
                f"Received: block={self.block!r}"
            )

    def apply(self, model: keras.Model, **options: Any) -> EditReport:
        """Calls `surgery.deepen`."""
        known = {k: v for k, v in options.items() if k in ("seed", "dry_run")}
        return deepen(model, **self._arguments(), **known)

    def preserves_outputs(self, new_units: str) -> bool:
        """Returns `True` for a built-in block that starts as the identity."""
        return self.init in PRESERVING_INITS and self.block is None


def check_layer(layer: Any) -> None:
    """Checks that a value is a layer, its name or its path."""
    if not isinstance(layer, str | keras.layers.Layer):
        raise TypeError(
            "Argument `layer` must be a layer or its name. "
            f"Received: layer={layer!r}"
        )


def _serialize(value: Any) -> Any:
    if isinstance(value, keras.layers.Layer):
        return value.name
    if callable(value):
        return keras.saving.get_registered_name(value)
    return value


def _deserialize(value: Any) -> Any:
    if isinstance(value, str) and ">" in value:
        return keras.saving.get_registered_object(value) or value
    return value
