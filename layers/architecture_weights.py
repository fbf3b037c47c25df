"""The weights of one decision that several layers share."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_netopt.checks import check_integer, check_positive, check_seed
from keras_netopt.search.supernet.decision import MODES, option_weights
from keras_netopt.search.supernet.searchable_layer import (
    SearchableLayer,
    check_sampling,
)
from keras_netopt.serialization import export_class


@export_class
class ArchitectureWeights(SearchableLayer):
    """Makes one decision for several `Choice` layers.

    Choices that get the output of this layer as a second input choose the
    same option, as the cells of DARTS do.

    Example:

    >>> import keras
    >>> import keras_netopt as netopt
    >>> inputs = x = keras.Input((8,))
    >>> shared = netopt.layers.ArchitectureWeights(["wide", "skip"])(inputs)
    >>> for cell in range(2):
    ...     candidates = [
    ...         keras.layers.Dense(8, activation="relu", name="wide"),
    ...         keras.layers.Identity(name="skip"),
    ...     ]
    ...     x = netopt.layers.Choice(candidates)([x, shared])
    >>> model = keras.Model(inputs, keras.layers.Dense(3)(x))

    Args:
        options: Number of options, at least 2, or a list of their names. All
            choices have that many candidates, in the same order.
        sampling: How training uses the options, as in `Choice`. Defaults to
            `None`: the weighted sum of all.
        temperature: Divides the logits before the softmax, above 0. Defaults
            to `1.0`.
        seed: Random seed, an integer. Defaults to `None`: a random seed.
        **kwargs: As in every Keras layer: `name`, `dtype`.

    Call arguments:
        inputs: Any tensor of the model, which is not read. It makes the layer
            a part of the graph.
        training: Whether options are sampled. Set by Keras.

    Output shape:
        `(options,)`: the share of each option, float32.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.
    """

    is_weights_only = True
    netopt_schedulable = {"temperature": (1e-6, float("inf"))}

    def __init__(
        self,
        options: int | Sequence[str],
        sampling: str | None = None,
        temperature: float = 1.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.options = _check_options(options)
        self.sampling = check_sampling(sampling, tuple(MODES))
        self.initial_temperature = check_positive(temperature, "temperature")
        self.seed = check_seed(seed)

    def build(self, input_shape: Any) -> None:
        """Makes the weights of the decision."""
        names = self.options
        if isinstance(names, int):
            names = [f"option_{k}" for k in range(names)]
        self.arch_alpha = self.add_arch_alpha(len(names))
        self.decision = self.add_decision(
            names,
            sampling=self.sampling,
            seed=self.seed,
            weights=self.arch_alpha,
            temperature=self.initial_temperature,
        )
        self.temperature = self.decision.temperature

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Returns the share of each option."""
        index = self.choose(self.decision, training)
        weights = option_weights(self.decision, index, bool(training))
        self.count_draw(self.decision, training)
        return weights

    def compute_output_spec(
        self, inputs: Any, training: bool | None = None
    ) -> Any:
        """Returns a symbolic tensor without a batch axis."""
        return keras.KerasTensor((len(self.decision.options),), dtype="float32")

    def compute_output_shape(self, input_shape: Any) -> tuple[int]:
        """Returns the number of options."""
        return (len(self.decision.options),)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "options": self.options,
            "sampling": self.sampling,
            "temperature": self.initial_temperature,
            "seed": self.seed,
        }


def _check_options(options: Any) -> int | list[str]:
    if not isinstance(options, list | tuple):
        return check_integer(options, "options", minimum=2)
    names = list(options)
    if (
        len(names) < 2
        or not all(isinstance(name, str) for name in names)
        or len(set(names)) < len(names)
    ):
        raise ValueError(
            "Argument `options` must be a number or a list of at least two "
            f"different names. Received: options={options!r}"
        )
    return names
