"""Weight normalization: kernels as a length and a direction."""

import contextlib
import inspect
from typing import Any

import keras
from keras import ops

from keras_netopt.fine_tuning.normalized_kernel import (
    NormalizedKernel,
    find_kernels,
    find_zero_initializer,
)
from keras_netopt.graph.layers import walk_layers
from keras_netopt.serialization import export_class

_REMOVE = "`fine_tuning.remove_weight_normalization(model)`"


@export_class
class WeightNormalization(keras.layers.Wrapper):
    """Trains the kernels of a layer as a length g and a direction v.

    The wrapped layer computes with the kernel

        w = g v / ||v||

    where g is one trained number per output unit and the norm is that of the
    unit's weights. Gradients for the length and the direction are separated,
    which speeds up the training of networks without batch normalization: its
    statistics do not depend on the batch, so that it also suits recurrent
    layers, reinforcement learning and batches of a few samples. Before a
    `BatchNormalization`, which removes the length, it has no use.

    A new wrapper computes the same as the layer alone. For the
    data-dependent initial values of the paper call
    `fine_tuning.initialize_weight_normalization(model, x)` before `fit`: in
    `fit`, JAX discards what a layer assigns to its trained weights.

    `fine_tuning.remove_weight_normalization(model)` returns a plain model
    with the same outputs. Channel pruning and growing refuse a normalized
    layer. Pruning and quantization act on v: zeros of v are zeros of w, and a
    grid with one step per output unit stays one.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> dense = keras.layers.Dense(3)
    >>> layer = netopt.layers.WeightNormalization(dense)
    >>> x = np.ones((2, 4), "float32")
    >>> y = layer(x)
    >>> [weight.name for weight in layer.trainable_weights]
    ['g', 'kernel', 'bias']
    >>> bool(np.allclose(keras.ops.convert_to_numpy(y), dense(x), atol=1e-6))
    True

    Args:
        layer: A layer with one input that multiplies with a weight named
            `kernel`, `recurrent_kernel`, `depthwise_kernel` or
            `pointwise_kernel`: Dense, EinsumDense, convolutions (also
            transposed, depthwise and separable), recurrent layers (each
            column of both kernels, hence each gate of a unit, has its own g),
            their cells, and layers of other authors. In `TimeDistributed` and
            `Bidirectional`, on either side. All kernels inside it are
            normalized. A `kernel_regularizer` acts on w.
        **kwargs: As in every Keras layer: `name`, `trainable`, `dtype`.
            `trainable` and `dtype` default to those of `layer`.

    Call arguments:
        inputs: The input of `layer`.
        mask: The mask of the inputs, for a layer that takes one.
        training: Whether the layer is training. Set by Keras.

    Input shape:
        That of `layer`.

    Output shape:
        That of `layer`.

    Raises:
        TypeError: If `layer` is not a Keras layer.
        ValueError: If the layer is a model, is called with several inputs, is
            normalized already or quantized, or, when it is built, has no
            kernel, has a kernel constraint (which would act on v), or starts
            with a kernel of zeros, which has no direction.

    Reference:
        Salimans and Kingma, "Weight normalization", 2016,
        https://arxiv.org/abs/1602.07868.
    """

    # Without an input channel, all norms would change.
    netopt_fixed_shapes = (
        f"normalizes its kernels by their norms (call {_REMOVE} first)"
    )

    def __init__(self, layer: keras.Layer, **kwargs: Any) -> None:
        _check_layer(layer)
        kwargs = {
            "trainable": layer.trainable,
            "dtype": layer.dtype_policy,
            **kwargs,
        }
        # Norms need the full precision; the layer casts for itself.
        super().__init__(layer, autocast=False, **kwargs)
        self.supports_masking = layer.supports_masking
        self._call_arguments = set(inspect.signature(layer.call).parameters)
        self._kernels: tuple[tuple[NormalizedKernel, Any], ...] = ()

    def build(self, input_shape: Any) -> None:
        """Builds the layer, and one g per output unit with w = v."""
        if not self.layer.built:
            _check_initializers(self.layer)
            if type(self.layer).build is keras.Layer.build:
                # It builds the layers inside it when it is called.
                dtype = self.layer.compute_dtype
                spec = keras.KerasTensor(input_shape, dtype=dtype)
                self.layer.compute_output_spec(spec)
            super().build(input_shape)
        kernels = find_kernels(self.layer)
        if not kernels:
            raise ValueError(
                "Argument `layer` must have a weight named `kernel`, "
                "`recurrent_kernel`, `depthwise_kernel` or "
                f"`pointwise_kernel`. Received: layer={self.layer!r}"
            )
        self._kernels = tuple((one, self._add_g(one)) for one in kernels)
        self.built = True

    def call(
        self, inputs: Any, mask: Any = None, training: bool | None = None
    ) -> Any:
        """Returns the outputs of the layer with normalized kernels."""
        given = {"mask": mask, "training": training}
        given = {k: v for k, v in given.items() if k in self._call_arguments}
        with contextlib.ExitStack() as stack:
            for kernel, g in self._kernels:
                self._check_held(kernel)
                stack.enter_context(kernel.replaced(kernel.normalize(g.value)))
            return self.layer(inputs, **given)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Returns the mask of the layer's outputs."""
        return self.layer.compute_mask(inputs, mask)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the shape of the layer's outputs."""
        return self.layer.compute_output_shape(input_shape)

    def normalized_kernels(self) -> list[tuple[Any, Any, Any]]:
        """Lists the kernels: v, its g, and w = g v / ||v||.

        Returns:
            One tuple per kernel: two variables and a float32 tensor of the
            shape of v.
        """
        return [(k.v, g, k.normalize(g.value)) for k, g in self._kernels]

    def reset_g(self) -> None:
        """Sets g to the norms of v, so that w = v.

        Call it after new values were assigned to the layer's own kernel.
        """
        for kernel, g in self._kernels:
            g.assign(ops.cast(kernel.norms(), g.dtype))

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> "WeightNormalization":
        """Builds the layer from its config."""
        return super().from_config(dict(config), custom_objects)

    def _add_g(self, kernel: NormalizedKernel) -> Any:
        v = kernel.v
        if v.constraint is not None:
            raise ValueError(
                "Argument `layer` must have no kernel constraint: it would "
                "act on v, whose length has no effect. Remove the constraint. "
                f"Received: layer={kernel.layer!r} with "
                f"constraint={v.constraint!r}"
            )
        g = self.add_weight(
            name=kernel.name.replace("kernel", "g"),
            shape=(kernel.unit_count,),
            # Not a value: Keras may create weights later than this.
            initializer=lambda shape, dtype: ops.cast(kernel.norms(), dtype),
            dtype=v.dtype,
        )
        if (regularizer := v.regularizer) is not None:
            v.regularizer = lambda value: regularizer(
                kernel.normalize(g.value, value)
            )
        return g

    def _check_held(self, kernel: NormalizedKernel) -> None:
        if not kernel.is_held():
            raise ValueError(
                f"Layer `{kernel.layer.name}` must keep the {kernel.name} that "
                f"`{self.name}` normalizes, but another was put in its place, "
                f"as by `quantize`. Call {_REMOVE} before you change it. "
                f"Received: layer={kernel.layer!r}"
            )


def _check_layer(layer: Any) -> None:
    if not isinstance(layer, keras.Layer):
        raise TypeError(
            "Argument `layer` must be a Keras layer. "
            f"Received: layer={layer!r} of type {type(layer).__name__}"
        )
    reason = ""
    parameters = list(inspect.signature(layer.call).parameters.values())[1:]
    if isinstance(layer, keras.Model):
        reason = (
            "no model; for the layers of a model call "
            "`fine_tuning.add_weight_normalization(model)`"
        )
    elif any(
        p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD
        for p in parameters
    ):
        reason = "a layer with one input"
    for inside in walk_layers(layer):
        kinds = (keras.layers.SpectralNormalization, WeightNormalization)
        if isinstance(inside, kinds):
            reason = f"a layer without a {type(inside).__name__}"
        if inside.quantization_mode is not None:
            reason = "a layer that is not quantized"
    if reason:
        raise ValueError(
            f"Argument `layer` must be {reason}. Received: layer={layer!r}"
        )


def _check_initializers(layer: keras.Layer) -> None:
    """Refuses kernels of zeros before they are made."""
    if given := find_zero_initializer(layer):
        raise ValueError(
            "Argument `layer` must not start with a kernel of zeros, which "
            f"has no direction. Received: layer={layer!r} with {given}"
        )
