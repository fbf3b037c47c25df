"""A dense layer of which the number of units is chosen."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.search.supernet.elastic_units import ElasticUnits
from keras_netopt.search.supernet.searchable_layer import Architecture
from keras_netopt.serialization import export_class


@export_class
class ElasticDense(ElasticUnits):
    """Dense layer that computes with its first units only.

    One set of weights holds a layer of each width: width k uses the units 0
    to k - 1, the others are 0. A layer starts with its largest width.
    `callbacks.ArchitectureSearch` samples the widths during `fit`,
    `search.extract` returns a network of plain, smaller layers.

    Put batch normalization inside: after the layer, it would turn the zeros
    of masked units into other values, and extraction would refuse the model.
    Add layers of equal width by giving them the same `width`.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> layer = netopt.layers.ElasticDense(
    ...     4, widths=(2, 4), activation="relu", name="hidden")
    >>> tuple(layer(np.ones((1, 3))).shape)
    (1, 4)
    >>> layer.decisions()[0].fix(0)
    >>> keras.ops.convert_to_numpy(layer(np.ones((1, 3))))[0, 2:]
    array([0., 0.], dtype=float32)

    Args:
        units: The largest width, an integer of at least 1.
        widths: Widths in ascending order; the last is `units`. Defaults to
            `None`: always `units`.
        activation: As in `keras.layers.Dense`; elementwise, as the units must
            be independent. Defaults to `None`.
        use_bias: As in `keras.layers.Dense`. Defaults to `True`.
        normalization: A `keras.layers.BatchNormalization` between bias and
            activation, of which the layer makes a copy. Defaults to `None`.
        kernel_initializer: As in `keras.layers.Dense`. Defaults to
            `"glorot_uniform"`.
        width: Name of a width that all layers with this name share, for a
            residual stream. Defaults to `None`: the width is chosen for this
            layer alone and has its name.
        sampling: How a plain `fit` chooses: "uniform", "fair", "sandwich" or
            "fixed", as in `layers.Choice`. Defaults to `None`: "fixed", the
            largest width.
        seed: Random seed, an integer. Defaults to `None`: a random seed, 0
            for a shared width.
        **kwargs: As in every Keras layer: `name`, `dtype`.

    Call arguments:
        inputs: Tensor of shape `(batch, ..., features)`.
        training: Whether a width is sampled. Set by Keras.

    Input shape:
        `(batch, ..., features)`.

    Output shape:
        `(batch, ..., units)`, whatever width is chosen.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or `widths` do not ascend
            to `units`.

    Reference:
        Yu et al., "Slimmable neural networks", 2018,
        https://arxiv.org/abs/1812.08928; Cai et al., "Once-for-all", 2019,
        https://arxiv.org/abs/1908.09791.
    """

    def __init__(
        self,
        units: int,
        widths: Sequence[int] | None = None,
        *,
        activation: Any = None,
        use_bias: bool = True,
        normalization: keras.layers.BatchNormalization | None = None,
        kernel_initializer: Any = "glorot_uniform",
        width: str | None = None,
        sampling: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units,
            widths,
            activation=activation,
            use_bias=use_bias,
            normalization=normalization,
            kernel_initializer=kernel_initializer,
            width=width,
            sampling=sampling,
            seed=seed,
            **kwargs,
        )
        self.units = self.unit_count

    def build(self, input_shape: Any) -> None:
        """Adds the weights of the largest width."""
        self.build_units(
            (input_shape[-1], self.units),
            self.compute_output_shape(input_shape),
        )

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Returns the outputs, 0 for units beyond the width."""
        return self.finish(ops.matmul(inputs, self.kernel), training)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape of all units."""
        return (*input_shape[:-1], self.units)

    def chosen_layer(self, architecture: Architecture) -> list[keras.Layer]:
        """Returns plain layers, in which masked units are 0."""
        return self.make_plain_layers(
            architecture,
            keras.layers.Dense,
            np.array(ops.convert_to_numpy(self.kernel)),
            {"units": self.units},
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "units": self.units}
