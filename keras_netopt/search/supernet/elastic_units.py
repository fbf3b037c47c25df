"""Base of layers of which the number of units is chosen."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.checks import check_bool, check_integer, check_seed
from keras_netopt.search.supernet import elastic_arguments as arguments
from keras_netopt.search.supernet.decision import Decision
from keras_netopt.search.supernet.searchable_layer import (
    Architecture,
    SearchableLayer,
    check_sampling,
)


class ElasticUnits(SearchableLayer):
    """Base of `ElasticDense` and `ElasticConv2D`.

    Width k uses the units 0 to k - 1. The mask is applied last: bias,
    normalization and activation would revive masked units. Weights of masked
    units get gradients of exactly 0, and their moving statistics do not
    change.

    Args:
        units: The largest width.
        widths: Widths in ascending order; the last is `units`. `None`: always
            `units`.
        units_name: Name of the argument `units` of the subclass. Defaults to
            `"units"`.
        activation: As in Keras. Defaults to `None`.
        use_bias: As in Keras. Defaults to `True`.
        normalization: Batch normalization before the activation; the layer
            holds a copy. Defaults to `None`.
        kernel_initializer: As in Keras. Defaults to `"glorot_uniform"`.
        width: Name of a decision that layers share. Defaults to `None`.
        sampling: Name of the mode. Defaults to `None`: "fixed".
        seed: Random seed. Defaults to `None`.
        **kwargs: As in every Keras layer.
    """

    # The axis of the units in the outputs.
    channel_axis = -1

    def __init__(
        self,
        units: int,
        widths: Sequence[int] | None,
        *,
        units_name: str = "units",
        activation: Any = None,
        use_bias: bool = True,
        normalization: keras.layers.BatchNormalization | None = None,
        kernel_initializer: Any = "glorot_uniform",
        width: str | None = None,
        sampling: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.unit_count = check_integer(units, units_name, minimum=1)
        self.widths = arguments.check_sizes(
            widths, "widths", self.unit_count, units_name
        )
        self.activation = arguments.read_activation(activation)
        self.use_bias = check_bool(use_bias, "use_bias")
        self.normalization = arguments.copy_normalization(normalization)
        self.kernel_initializer = arguments.read_initializer(kernel_initializer)
        self.width = arguments.check_shared_width(width, self.widths)
        self.sampling = check_sampling(sampling, arguments.SAMPLING)
        self.seed = check_seed(seed)

    def elastic_axes(self) -> dict[str, tuple[int, ...]]:
        """Returns what is chosen, with the options: "width" and "kernel"."""
        options = self.widths or ()
        return {"width": options} if len(options) > 1 else {}

    def axis_decisions(self) -> dict[str, Decision]:
        """Returns the decision of each axis of `elastic_axes`."""
        return dict(zip(self.elastic_axes(), self.decisions(), strict=True))

    def build_units(
        self, kernel_shape: tuple[int, ...], output_shape: Any
    ) -> None:
        """Adds the decisions, kernel, bias and normalization."""
        self._output_shape = tuple(output_shape)
        axes = self.elastic_axes()
        for axis, options in axes.items():
            self.add_decision(
                options,
                axis=axis if len(axes) > 1 else None,
                shared=self.width if axis == "width" else None,
                sampling=self.sampling,
                active=len(options) - 1,
                seed=self.seed,
            )
        self.kernel = self.add_weight(
            name="kernel",
            shape=kernel_shape,
            initializer=self.kernel_initializer,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias", shape=(self.unit_count,), initializer="zeros"
            )
        if self.normalization is not None:
            self._build_normalization(self._output_shape)

    def choose_axis(self, axis: str, training: bool | None) -> Any:
        """Returns the position of the option of this call, or `None`."""
        decision = self.axis_decisions().get(axis)
        if decision is None:
            return None
        index = self.choose(decision, training)
        self.count_draw(decision, training)
        return index

    def finish(self, outputs: Any, training: bool | None) -> Any:
        """Applies bias, normalization, activation and the mask."""
        mask = None
        index = self.choose_axis("width", training)
        if index is not None:
            widths = ops.convert_to_tensor(self.widths, dtype="int32")
            units = ops.arange(self.unit_count, dtype="int32")
            mask = units < ops.take(widths, index)
        if self.bias is not None:
            outputs = outputs + self._along_units(self.bias, outputs)
        if self.normalization is not None:
            outputs = self._normalize(outputs, mask, training)
        outputs = self.activation(outputs)
        if mask is None:
            return outputs
        mask = self._along_units(mask, outputs)
        return ops.where(mask, outputs, ops.zeros_like(outputs))

    def chosen_width(self, architecture: Architecture) -> int:
        """Returns the number of units that an architecture leaves."""
        return self.chosen_option("width", architecture) or self.unit_count

    def plain_variables(self) -> list[Any]:
        """Returns the variables of the plain layers, in their order."""
        norm = self.normalization
        bias = [] if self.bias is None else [self.bias]
        return [self.kernel, *bias, *(norm.weights if norm is not None else [])]

    def make_plain_layers(
        self,
        architecture: Architecture,
        kind: type[keras.Layer],
        kernel: np.ndarray,
        config: Mapping[str, Any],
    ) -> list[keras.Layer]:
        """Returns built Keras layers of all units, of which masked ones are 0.

        Args:
            architecture: The index of the option per decision.
            kind: Class of the layer with the kernel.
            kernel: Its kernel, with the units on the last axis.
            config: Its arguments, without those that all kinds have.
        """
        norm, name = self.normalization, self.name
        dtype = self.dtype_policy.name
        activation = keras.activations.serialize(self.activation)
        core = kind(
            **config,
            name=name,
            dtype=dtype,
            activation=activation if norm is None else None,
            use_bias=self.use_bias,
            kernel_initializer=self.kernel_initializer,
        )
        held = [_to_numpy(v) for v in self.plain_variables()]
        held[0] = kernel
        count = 1 + self.use_bias
        layers, values = [core], [held[:count]]
        if norm is not None:
            changed = {"name": f"{name}_normalization", "dtype": dtype}
            layers.append(type(norm).from_config(norm.get_config() | changed))
            values.append(held[count:])
        kept = np.arange(self.unit_count) < self.chosen_width(architecture)
        inner = list(self._output_shape)
        inner[self.channel_axis] = self.kernel.shape[-2]
        for layer, weights in zip(layers, values, strict=True):
            layer.build(tuple(inner) if layer is core else self._output_shape)
            layer.set_weights([np.where(kept, w, 0) for w in weights])
        if norm is not None and self.activation is not keras.activations.linear:
            changed = {"name": f"{name}_activation", "dtype": dtype}
            layers.append(keras.layers.Activation(activation, **changed))
        return layers

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that all elastic layers have."""
        norm = self.normalization
        return {
            **super().get_config(),
            "widths": self.widths and list(self.widths),
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "normalization": norm and keras.saving.serialize_keras_object(norm),
            "kernel_initializer": keras.initializers.serialize(
                self.kernel_initializer
            ),
            "width": self.width,
            "sampling": self.sampling,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Builds the layer from its config."""
        norm = config.get("normalization")
        if isinstance(norm, dict):
            norm = keras.saving.deserialize_keras_object(norm)
        return cls(**{**config, "normalization": norm})

    def chosen_option(self, axis: str, architecture: Architecture) -> Any:
        """Returns the size in an architecture, or `None` if it is fixed."""
        decision = self.axis_decisions().get(axis)
        return decision and decision.options[architecture[decision.name]]

    def _build_normalization(self, shape: tuple[Any, ...]) -> None:
        norm: Any = self.normalization
        if norm.axis % len(shape) != self.channel_axis % len(shape):
            raise ValueError(
                "Argument `normalization` must normalize over the axis "
                f"{self.channel_axis} of the units. "
                f"Received: normalization with axis={norm.axis}"
            )
        norm.build(shape)

    def _normalize(self, x: Any, mask: Any, training: bool | None) -> Any:
        """Normalizes; masked units keep their moving statistics."""
        norm: Any = self.normalization
        if mask is None or not training:
            return norm(x, training=training)
        averages = (norm.moving_mean, norm.moving_variance)
        before = [ops.copy(v.value) for v in averages]
        x = norm(x, training=training)
        for variable, old in zip(averages, before, strict=True):
            variable.assign(ops.where(mask, variable.value, old))
        return x

    def _along_units(self, vector: Any, outputs: Any) -> Any:
        """Shapes one value per unit to be broadcast over the outputs."""
        shape = [1] * len(outputs.shape)
        shape[self.channel_axis] = self.unit_count
        return ops.reshape(vector, shape)


def _to_numpy(variable: Any) -> np.ndarray:
    return np.array(ops.convert_to_numpy(variable))
