"""What `Growing` does when growth is due: plain data, usable without `fit`."""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Self

import keras

from keras_netopt.checks import (
    check_choice,
    check_integer,
    check_number,
)
from keras_netopt.serialization import export_class
from keras_netopt.surgery.edits.edit_lifecycle import check_optimizer
from keras_netopt.surgery.edits.report import EditReport

INITS = ("residual_zero", "identity", "copy", "gaussian")
PRESERVING_INITS = ("residual_zero", "identity")


@dataclass(frozen=True)
class Action:
    """Base of the actions: an edit of one layer, told in numbers.

    Example:

    >>> Widen("hidden", factor=2).verb, Deepen("hidden").verb
    ('widen', 'deepen')
    """

    @property
    def verb(self) -> str:
        """The function of `keras_netopt.surgery` that it calls."""
        return type(self).__name__.lower()

    def apply(self, model: keras.Model, **options: Any) -> EditReport:
        """Makes the edit.

        Args:
            model: The model.
            **options: What `Growing` decides for all actions alike:
                `new_units`, `data`, `seed` and `dry_run`.

        Returns:
            The report.
        """
        raise NotImplementedError

    def rehearse(
        self, model: keras.Model, copy: keras.Model, **options: Any
    ) -> EditReport:
        """Makes the edit on a copy, so that what is wrong shows before.

        Args:
            model: The model that will be edited; its optimizer is checked.
            copy: A clone of it, which is edited.
            **options: As for `apply`.

        Returns:
            The report of the copy.

        Raises:
            ValueError: If the edit can't be made.
        """
        raise NotImplementedError

    @property
    def repeats(self) -> bool:
        """Whether the edit can be made again."""
        return True

    def preserves(self, new_units: str) -> bool:
        """Says whether the edit is meant to leave the outputs as they are.

        Args:
            new_units: How `Growing` starts new units.
        """
        return True

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments, JSON-safe; a layer by its name."""
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Makes the action whose `get_config` returned `config`."""
        return cls(**{k: _revived(v) for k, v in config.items()})


@export_class
@dataclass(frozen=True)
class Widen(Action):
    """Gives a layer more units: channels, features or attention heads.

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
        layer: Name of the layer, its path in nested models ("encoder/conv")
            or the layer itself.
        to: Units afterwards. Give one of `to`, `factor` and `add`.
        factor: Units afterwards as a multiple of those before, above 1.
        add: Units to add, at least 1.
        round_to: Round the width up to a multiple of this. Defaults to
            `None`.
        kind: Which units, where a layer has more than one kind, as
            `surgery.widen` takes it. Defaults to `""`.

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
        check_amount(self.to, self.factor, self.add)
        if self.round_to is not None:
            check_integer(self.round_to, "round_to", minimum=1)

    def apply(self, model: keras.Model, **options: Any) -> EditReport:
        """Calls `surgery.widen`."""
        from keras_netopt.surgery.growing.widen import widen

        arguments = {f.name: getattr(self, f.name) for f in fields(self)}
        return widen(model, arguments.pop("layer"), **arguments, **options)

    def rehearse(
        self, model: keras.Model, copy: keras.Model, **options: Any
    ) -> EditReport:
        """Plans the edit on the copy, checks the optimizer, then makes it."""
        from keras_netopt.surgery.graph.channel_graph import ChannelGraph
        from keras_netopt.surgery.growing.widen import plan_widen, widen

        arguments = {f.name: getattr(self, f.name) for f in fields(self)}
        layer = _in_copy(arguments.pop("layer"), model)
        names = ("new_units", "seed")
        chosen = {k: v for k, v in options.items() if k in names}
        found = plan_widen(
            ChannelGraph(copy), layer, rehearsal=True, **arguments, **chosen
        )
        check_optimizer(model, zero_outgoing=found.is_silent)
        chosen["new_units"] = found.placement
        return widen(copy, layer, **arguments, **chosen)

    @property
    def repeats(self) -> bool:
        """Whether it says by how much and not up to where."""
        return self.to is None

    def preserves(self, new_units: str) -> bool:
        """All new units preserve the outputs, except random ones."""
        return new_units != "random"


@export_class
@dataclass(frozen=True)
class Deepen(Action):
    """Inserts new blocks behind a layer.

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
        layer: Name of the layer behind which the blocks go, its path in
            nested models or the layer itself.
        copies: Number of blocks, at least 1. Defaults to `1`.
        init: "residual_zero" and "identity" leave the outputs as they are,
            "copy" clones the block before, "gaussian" starts as AutoGrow
            does. Defaults to `"residual_zero"`.
        block: `callable(tensor) -> tensor` that builds the block, registered
            with `keras.saving.register_keras_serializable` if the action is
            to be saved, or the name under which it is. Defaults to `None`: a
            residual block like the layer.

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
        from keras_netopt.surgery.growing.deepen import deepen

        known = {k: v for k, v in options.items() if k in ("seed", "dry_run")}
        arguments = {f.name: getattr(self, f.name) for f in fields(self)}
        return deepen(model, after=arguments.pop("layer"), **arguments, **known)

    def rehearse(
        self, model: keras.Model, copy: keras.Model, **options: Any
    ) -> EditReport:
        """Checks the optimizer and makes the edit on the copy."""
        check_optimizer(model)
        moved = Deepen(
            _in_copy(self.layer, model), self.copies, self.init, self.block
        )
        return moved.apply(copy, **options)

    def preserves(self, new_units: str) -> bool:
        """Copies and Gaussian blocks change the outputs, own ones may."""
        return self.init in PRESERVING_INITS and self.block is None


def check_layer(layer: Any) -> None:
    """Refuses what cannot name a layer.

    Args:
        layer: A name, a path or a layer.

    Raises:
        TypeError: If it is neither a string nor a layer.
    """
    if not isinstance(layer, str | keras.layers.Layer):
        raise TypeError(
            "Argument `layer` must be a layer or its name. "
            f"Received: layer={layer!r}"
        )


def check_amount(to: Any, factor: Any, add: Any) -> None:
    """Refuses what does not say by how much to widen.

    Args:
        to: Units afterwards, or `None`.
        factor: A factor above 1, or `None`.
        add: Units to add, or `None`.

    Raises:
        TypeError: If a value has the wrong type.
        ValueError: If it is out of range, or not exactly one is given.
    """
    given = {"to": to, "factor": factor, "add": add}
    if sum(value is not None for value in given.values()) != 1:
        shown = ", ".join(f"{k}={v!r}" for k, v in given.items())
        raise ValueError(
            "Arguments `to`, `factor` and `add`: exactly one must be given. "
            f"Received: {shown}"
        )
    if factor is not None and check_number(factor, "factor") <= 1:
        raise ValueError(
            "Argument `factor` must be above 1. To make a layer smaller use "
            f"`surgery.remove`. Received: factor={factor!r}"
        )
    for name in ("to", "add"):
        if given[name] is not None:
            check_integer(given[name], name, minimum=1)


def new_width(
    width: int,
    to: int | None,
    factor: float | None,
    add: int | None,
    round_to: int | None = None,
) -> int:
    """Returns the width that is asked for.

    Example:

    >>> new_width(10, None, 1.5, None), new_width(10, None, 1.5, None, 8)
    (15, 16)

    Args:
        width: Units now.
        to: Units afterwards, or `None`.
        factor: A factor above 1, or `None`; rounded to whole units, at least
            one more.
        add: Units to add, or `None`.
        round_to: Round up to a multiple of this. Defaults to `None`.

    Returns:
        Units afterwards.
    """
    if factor is not None:
        wanted = max(width + 1, math.floor(width * factor + 0.5))
    else:
        wanted = int(to) if to is not None else width + int(add or 0)
    multiple = round_to or 1
    return -(-wanted // multiple) * multiple


def _in_copy(layer: Any, model: keras.Model) -> str:
    """The name under which a clone of the model holds a layer."""
    from keras_netopt.surgery.graph.channel_graph import ChannelGraph

    if isinstance(layer, str):
        return layer
    graph = ChannelGraph(model)
    return graph.path(graph.find(layer))


def _plain(value: Any) -> Any:
    if isinstance(value, keras.layers.Layer):
        return value.name
    if callable(value):
        return keras.saving.get_registered_name(value)
    return value


def _revived(value: Any) -> Any:
    if isinstance(value, str) and ">" in value:
        return keras.saving.get_registered_object(value) or value
    return value
