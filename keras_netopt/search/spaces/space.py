"""A search space of networks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras

from keras_netopt.checks import check_integer, check_positive
from keras_netopt.search.scaling.compound_scale_factors import CompoundScale
from keras_netopt.search.spaces.head import Head

Choices = dict[str, Any]
Shape = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Space:
    """A `build(hp)` function for any tuner of KerasTuner or this package.

    Functions such as `search.spaces.resnet` return it. It can be pickled, so
    trials can run in other processes. To change the training, call it in a
    function of your own and compile the model again.

    Example:

    >>> from keras_netopt.search import spaces
    >>> space = spaces.nas_bench_201((8, 8, 1), 10, channels=(4, 8), cells=1)
    >>> space.defaults()["channels"]
    4
    >>> space.model({"channels": 8}).count_params()
    43506

    Args:
        choose: `choose(hp, settings)` declares all hyperparameters and
            returns the choices of one network.
        connect: `connect(x, choices)` returns the features of an input.
        settings: The options of each hyperparameter.
        head: The outputs and the loss.
        input_shape: Shape of one sample.
        input_dtype: Dtype of the inputs. Defaults to `"float32"`.
        learning_rate: Learning rate of Adam, or the lowest and the highest
            one of a search. Defaults to `1e-3`.
        scale: `scale(choices, factors)` returns the choices of a network
            with scaled depth and width. Defaults to `None`: networks of this
            space cannot be scaled.
        name: Name of the models. Defaults to `"network"`.
    """

    choose: Callable[[Any, Mapping[str, Any]], Choices]
    connect: Callable[[Any, Choices], Any]
    settings: Mapping[str, Any]
    head: Head
    input_shape: Shape
    input_dtype: str = "float32"
    learning_rate: float | tuple[float, float] = 1e-3
    scale: Callable[[Choices, CompoundScale], Choices] | None = None
    name: str = "network"

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "learning_rate", check_learning_rate(self.learning_rate)
        )

    def __call__(self, hp: Any) -> keras.Model:
        """Returns the compiled model of the values of `hp`."""
        return self._build(*self._declare(hp))

    def hyperparameters(self) -> Any:
        """Returns a `keras_tuner.HyperParameters` with all hyperparameters."""
        import keras_tuner

        hp = keras_tuner.HyperParameters()
        self._declare(hp)
        return hp

    def defaults(self) -> dict[str, Any]:
        """Returns the values of the default network."""
        return dict(self.hyperparameters().values)

    def model(self, values: Mapping[str, Any] | None = None) -> keras.Model:
        """Returns the compiled model of given values.

        Args:
            values: Values by name; the others are defaults. Defaults to
                `None`: the default network.

        Raises:
            ValueError: If a name is unknown or inactive, or a value is none
                of the options.
        """
        return self(self._of_values(values))

    def scaled(
        self, factors: CompoundScale, values: Mapping[str, Any] | None = None
    ) -> keras.Model:
        """Returns the compiled model of given values, scaled.

        The inputs keep their shape: the model resizes images to the scaled
        resolution (layer "resolution").

        Args:
            factors: The factors of depth, width and resolution.
            values: As in `model`. Defaults to `None`: the default network.

        Raises:
            ValueError: If the networks of this space cannot be scaled.
        """
        if self.scale is None:
            raise ValueError(
                "Only networks of `search.spaces.resnet`, `mobilenet` and "
                "`nas_bench_201` can be scaled. For others pass a function "
                f"`build(scale)`. Received: a space named {self.name!r}"
            )
        choices, rate = self._declare(self._of_values(values))
        height, width = self.input_shape[:2]
        size = factors.size(height), factors.size(width)
        return self._build(self.scale(choices, factors), rate, size)

    def _of_values(self, values: Mapping[str, Any] | None) -> Any:
        import keras_tuner

        from keras_netopt.search.search_space import SearchSpace

        hp = keras_tuner.HyperParameters()
        found = SearchSpace(self.hyperparameters())
        hp.values = found.check(values or {}, "values")
        return hp

    def _build(
        self, choices: Choices, rate: float, size: Shape | None = None
    ) -> keras.Model:
        inputs = x = keras.Input(
            self.input_shape, dtype=self.input_dtype, name="input"
        )
        if size is not None and size != self.input_shape[:2]:
            x = keras.layers.Resizing(*size, name="resolution")(x)
        outputs = self.head.connect(self.connect(x, choices))
        model = keras.Model(inputs, outputs, name=self.name)
        self.head.compile(model, rate)
        return model

    def _declare(self, hp: Any) -> tuple[Choices, float]:
        choices = self.choose(hp, self.settings)
        rate = self.learning_rate
        if isinstance(rate, tuple):
            low, high = rate
            middle = (low * high) ** 0.5
            rate = hp.Float(
                "learning_rate", low, high, sampling="log", default=middle
            )
        return choices, rate


def check_shape(shape: Any, name: str, rank: int | None = None) -> Shape:
    """Returns the shape of one sample as a tuple of integers."""
    axes = "" if rank is None else f"{rank} "
    try:
        found = tuple(shape)
    except TypeError as error:
        raise TypeError(
            f"Argument `{name}` must be a tuple of {axes}integers. "
            f"Received: {name}={shape!r}"
        ) from error
    if not found or len(found) != (rank or len(found)):
        raise ValueError(
            f"Argument `{name}` must have {rank or 'at least one'} axes, "
            f"without the batch. Received: {name}={shape!r}"
        )
    return tuple(check_integer(one, name, minimum=1) for one in found)


def check_learning_rate(value: Any) -> float | tuple[float, float]:
    """Returns a learning rate or the two ends of a range."""
    if not isinstance(value, tuple | list):
        return check_positive(value, "learning_rate")
    found = tuple(check_positive(one, "learning_rate") for one in value)
    if len(found) != 2 or not found[0] < found[1]:
        raise ValueError(
            "Argument `learning_rate` must be a number, or the lowest and "
            "the highest one, as in `learning_rate=(1e-4, 1e-2)`. "
            f"Received: learning_rate={value!r}"
        )
    return found[0], found[1]
