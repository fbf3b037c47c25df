"""Adds features of earlier columns to a layer of a new column."""

from typing import Any

import keras
from keras import ops

from keras_netopt.checks import check_choice, check_integer, check_number
from keras_netopt.search.supernet.elastic_arguments import read_activation
from keras_netopt.serialization import export_class

ADAPTERS = ("mlp", "linear")
# Widest adapter that is chosen without `adapter_width`.
MAX_WIDTH = 128


@export_class
class LateralConnection(keras.layers.Layer):
    """Adds adapted features of other columns to a tensor.

    The layer computes `h + U(act(V(concat(alpha_1 * s_1, alpha_2 * s_2,
    ...))))` for `[h, s_1, s_2, ...]`: `V` and `U` are dense on the channel
    axis, which on images is a 1x1 convolution and on sequences a dense layer
    per step. `alpha` holds one learned scale per source. The linear adapter
    has `U` alone and no activation. `progressive.ProgressiveNetwork` inserts
    the layer after each hidden tensor of a new column.

    Example:

    >>> import keras
    >>> import keras_netopt as netopt
    >>> h, source = keras.Input((7, 7, 16)), keras.Input((7, 7, 8))
    >>> layer = netopt.layers.LateralConnection(adapter_width=4)
    >>> layer([h, source]).shape
    (None, 7, 7, 16)
    >>> layer.count_params()  # alpha + V + U
    117

    Args:
        adapter: "mlp" (`V`, activation, `U`) or "linear" (`U`). Defaults to
            `"mlp"`.
        adapter_width: Output channels of `V`, at least 1. Defaults to `None`:
            the channels of `h`, at most 128. The linear adapter has none.
        alpha_init: Initial value of each scale. Small values switch the
            sources off at first; a scale moves by about .1 in 300 steps of
            Adam at 1e-3. Defaults to `0.3`.
        activation: Activation of the MLP adapter. Defaults to `"relu"`.
        data_format: "channels_last" or "channels_first" of tensors of rank 4
            and 5. Defaults to `None`: `keras.config.image_data_format()`.
        **kwargs: As in every layer.

    Call arguments:
        inputs: A list of two or more tensors that differ in the channel axis
            alone; the first is the one that is added to.

    Input shape:
        `(batch, channels)`, `(batch, steps, channels)` or images, each with
        channels of its own.

    Output shape:
        The shape of the first input.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or the inputs differ in
            another axis than the channels.

    Reference:
        Rusu et al., *Progressive Neural Networks*, 2016, arXiv 1606.04671:
        lateral connections `U`, `V` and `alpha`. The paper adds the adapted
        features before the activation of the next layer; here the next layer
        reads their sum with `h`.
    """

    def __init__(
        self,
        adapter: str = "mlp",
        adapter_width: int | None = None,
        *,
        alpha_init: float = 0.3,
        activation: Any = "relu",
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        check_choice(adapter, "adapter", ADAPTERS)
        if adapter_width is not None:
            check_integer(adapter_width, "adapter_width", minimum=1)
            if adapter == "linear":
                raise ValueError(
                    "Argument `adapter_width` must be None for the linear "
                    "adapter, which has one dense layer. Received: "
                    f"adapter_width={adapter_width!r}"
                )
        check_number(alpha_init, "alpha_init")
        super().__init__(**kwargs)
        self.adapter = adapter
        self.adapter_width = adapter_width
        self.alpha_init = float(alpha_init)
        self.activation = read_activation(activation)
        if data_format is None:
            data_format = keras.config.image_data_format()
        self.data_format = data_format
        check_choice(
            self.data_format,
            "data_format",
            ("channels_last", "channels_first"),
        )
        self.supports_masking = True
        self.reduce: Any = None
        self.expand: Any = None

    def build(self, input_shape: Any) -> None:
        """Creates one scale per source and the dense layers."""
        shapes = [tuple(shape) for shape in input_shape]
        axis = self._check_shapes(shapes)
        channels = [shape[axis] for shape in shapes]
        self.alpha = self.add_weight(
            name="alpha",
            shape=(len(channels) - 1,),
            initializer=keras.initializers.Constant(self.alpha_init),
        )
        width = sum(channels[1:])
        lead = (None,) * (len(shapes[0]) - 1)
        if self.adapter == "mlp":
            reduced = self.adapter_width or min(channels[0], MAX_WIDTH)
            self.reduce = keras.layers.Dense(
                reduced,
                activation=self.activation,
                dtype=self.dtype_policy,
                name="reduce",
            )
            self.reduce.build((*lead, width))
            width = reduced
        self.expand = keras.layers.Dense(
            channels[0], dtype=self.dtype_policy, name="expand"
        )
        self.expand.build((*lead, width))

    def call(self, inputs: Any) -> Any:
        """Adds the adapted sources to the first input."""
        hidden, *sources = inputs
        axis = self._channel_axis(len(hidden.shape))
        sources = [source * self.alpha[k] for k, source in enumerate(sources)]
        x = sources[0]
        if len(sources) > 1:
            x = ops.concatenate(sources, axis=axis)
        if axis != -1:
            x = ops.moveaxis(x, axis, -1)
        if self.reduce is not None:
            x = self.reduce(x)
        x = self.expand(x)
        if axis != -1:
            x = ops.moveaxis(x, -1, axis)
        return hidden + x

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Returns the mask of the first input."""
        return mask[0] if isinstance(mask, list | tuple) else mask

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape of the first input."""
        return tuple(input_shape[0])

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "adapter": self.adapter,
            "adapter_width": self.adapter_width,
            "alpha_init": self.alpha_init,
            "activation": keras.activations.serialize(self.activation),
            "data_format": self.data_format,
        }

    def _channel_axis(self, rank: int) -> int:
        first = self.data_format == "channels_first" and rank > 3
        return 1 if first else -1

    def _check_shapes(self, shapes: list[tuple[int | None, ...]]) -> int:
        axis = self._channel_axis(len(shapes[0]))

        def others(shape: tuple[int | None, ...]) -> list[int | None]:
            place = axis % len(shape)
            return [*shape[:place], *shape[place + 1 :]]

        fits = len(shapes) > 1 and all(
            len(shape) == len(shapes[0])
            and shape[axis] is not None
            and all(
                a == b or a is None or b is None
                for a, b in zip(others(shape), others(shapes[0]), strict=True)
            )
            for shape in shapes
        )
        if not fits or len(shapes[0]) < 2:
            raise ValueError(
                f"Layer {self.name!r} of class LateralConnection must get a "
                "list of two or more tensors of shape (batch, ..., channels) "
                "that differ in the channels alone. "
                f"Received: shapes {shapes}. Hidden tensors of one depth must "
                "have the same rank and the same spatial size in all columns."
            )
        return axis
