"""A convolution of which filters and kernel size are chosen."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.checks import check_integer
from keras_netopt.search.supernet.elastic_arguments import check_kernel_sizes
from keras_netopt.search.supernet.elastic_kernels import (
    derive_kernels,
    select_kernel,
)
from keras_netopt.search.supernet.elastic_units import ElasticUnits
from keras_netopt.search.supernet.searchable_layer import Architecture
from keras_netopt.serialization import export_class


@export_class
class ElasticConv2D(ElasticUnits):
    """2D convolution with a chosen number of filters and kernel size.

    One set of weights holds a convolution of each width and kernel size.
    Width k uses the filters 0 to k - 1, the others are 0. A smaller kernel is
    the center of the next larger one, multiplied by a learned matrix over its
    positions, which starts as the identity. A layer starts with its largest
    width and kernel. `callbacks.ArchitectureSearch` samples both during
    `fit`, `search.extract` returns a network of plain, smaller layers.

    Put batch normalization inside: after the layer, it would turn the zeros
    of masked filters into other values, and extraction would refuse the
    model. Add layers of equal width by giving them the same `width`.

    Example:

    >>> import keras
    >>> import keras_netopt as netopt
    >>> inputs = keras.Input((8, 8, 3))
    >>> x = netopt.layers.ElasticConv2D(
    ...     8, 5, widths=(4, 8), kernel_sizes=(3, 5), activation="relu",
    ...     normalization=keras.layers.BatchNormalization(), name="conv",
    ... )(inputs)
    >>> outputs = keras.layers.Dense(2)(keras.layers.Flatten()(x))
    >>> model = keras.Model(inputs, outputs)
    >>> small = netopt.search.extract(
    ...     model, {"conv/width": 0, "conv/kernel": 0})
    >>> tuple(small.get_layer("conv").kernel.shape)
    (3, 3, 3, 4)

    Args:
        filters: The largest width, an integer of at least 1.
        kernel_size: The largest kernel size, an integer of at least 1; height
            and width are equal.
        widths: Widths in ascending order; the last is `filters`. Defaults to
            `None`: always `filters`.
        kernel_sizes: Odd kernel sizes in ascending order, none below
            `strides`; the last is `kernel_size`. Defaults to `None`: always
            `kernel_size`.
        strides: Step in both directions, an integer of at least 1. Defaults
            to `1`. The padding is "same".
        activation: As in `keras.layers.Conv2D`; elementwise, as the filters
            must be independent. Defaults to `None`.
        use_bias: As in `keras.layers.Conv2D`. Defaults to `True`.
        normalization: A `keras.layers.BatchNormalization` between bias and
            activation, of which the layer makes a copy. Defaults to `None`.
        kernel_initializer: As in `keras.layers.Conv2D`. Defaults to
            `"glorot_uniform"`.
        width: Name of a width that all layers with this name share, for a
            residual stream. Defaults to `None`: the width is chosen for this
            layer alone.
        sampling: How a plain `fit` chooses: "uniform", "fair", "sandwich" or
            "fixed", as in `layers.Choice`. Defaults to `None`: "fixed", the
            largest width and kernel.
        seed: Random seed, an integer. Defaults to `None`: a random seed, 0
            for a shared width.
        **kwargs: As in every Keras layer: `name`, `dtype`.

    Call arguments:
        inputs: Tensor of shape `(batch, height, width, channels)`, or with
            the channels first if Keras is configured so.
        training: Whether width and kernel size are sampled. Set by Keras.

    Input shape:
        `(batch, height, width, channels)`.

    Output shape:
        `(batch, ceil(height / strides), ceil(width / strides), filters)`,
        whatever width is chosen.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, `widths` do not ascend to
            `filters`, or `kernel_sizes` are not odd or do not ascend to
            `kernel_size`.

    Reference:
        Cai et al., "Once-for-all: train one network and specialize it for
        efficient deployment", 2019, https://arxiv.org/abs/1908.09791.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        widths: Sequence[int] | None = None,
        kernel_sizes: Sequence[int] | None = None,
        *,
        strides: int = 1,
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
            filters,
            widths,
            units_name="filters",
            activation=activation,
            use_bias=use_bias,
            normalization=normalization,
            kernel_initializer=kernel_initializer,
            width=width,
            sampling=sampling,
            seed=seed,
            **kwargs,
        )
        self.filters = self.unit_count
        self.kernel_size = check_integer(kernel_size, "kernel_size", minimum=1)
        self.strides = check_integer(strides, "strides", minimum=1)
        self.kernel_sizes = check_kernel_sizes(
            kernel_sizes, self.kernel_size, self.strides
        )
        self.data_format = keras.config.image_data_format()
        if self.data_format == "channels_first":
            self.channel_axis = 1
        self.matrices: dict[str, Any] = {}

    def elastic_axes(self) -> dict[str, tuple[int, ...]]:
        """Returns what is chosen, with the options: "width" and "kernel"."""
        sizes = self.kernel_sizes or ()
        kernel = {"kernel": sizes} if len(sizes) > 1 else {}
        return {**super().elastic_axes(), **kernel}

    def build(self, input_shape: Any) -> None:
        """Adds the weights of the largest width and kernel."""
        size = self.kernel_size
        self.build_units(
            (size, size, input_shape[self.channel_axis], self.filters),
            self.compute_output_shape(input_shape),
        )
        self.matrices = {
            str(size): self.add_weight(
                name=f"transform_{size}",
                shape=(size**2, size**2),
                initializer="identity",
            )
            for size in (self.kernel_sizes or ())[:-1]
        }

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Returns the outputs, 0 for filters beyond the width."""
        kernel = self.kernel
        index = self.choose_axis("kernel", training)
        if index is not None:
            kernel = select_kernel(self._derived_kernels(), index)
        outputs = ops.conv(
            inputs, kernel, self.strides, "same", self.data_format
        )
        return self.finish(outputs, training)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape of all filters."""
        shape = [
            None if size is None else -(-size // self.strides)
            for size in input_shape
        ]
        shape[0], shape[self.channel_axis] = input_shape[0], self.filters
        return tuple(shape)

    def chosen_layer(self, architecture: Architecture) -> list[keras.Layer]:
        """Returns plain layers, in which masked filters are 0."""
        kernel, size = self.kernel, self.kernel_size
        chosen = self.chosen_option("kernel", architecture)
        if chosen is not None:
            at = (self.kernel_sizes or ()).index(chosen)
            kernel, size = self._derived_kernels()[at], chosen
        config = {
            "filters": self.filters,
            "kernel_size": size,
            "strides": self.strides,
            "padding": "same",
            "data_format": self.data_format,
        }
        array = np.array(ops.convert_to_numpy(ops.stop_gradient(kernel)))
        return self.make_plain_layers(
            architecture, keras.layers.Conv2D, array, config
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "kernel_sizes": self.kernel_sizes and list(self.kernel_sizes),
            "strides": self.strides,
        }

    def _derived_kernels(self) -> list[Any]:
        matrices = {int(size): one for size, one in self.matrices.items()}
        return derive_kernels(self.kernel, self.kernel_sizes or (), matrices)
