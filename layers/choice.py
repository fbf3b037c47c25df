"""A layer that is one of several candidate layers."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_netopt.checks import check_positive, check_seed
from keras_netopt.search.supernet.candidates import (
    build_candidates,
    check_candidates,
    option_labels,
)
from keras_netopt.search.supernet.decision import (
    MODES,
    is_mixture,
    option_weights,
)
from keras_netopt.search.supernet.searchable_layer import (
    Architecture,
    SearchableLayer,
    check_sampling,
)
from keras_netopt.serialization import export_class
from keras_netopt.training.branches import Branch, call_branch


@export_class
class Choice(SearchableLayer):
    """Holds candidate layers, one of which a search chooses.

    Example:

    >>> import keras
    >>> import keras_netopt as netopt
    >>> inputs = keras.Input((8, 8, 3))
    >>> x = netopt.layers.Choice(
    ...     [
    ...         keras.layers.Conv2D(4, 3, padding="same", name="conv3"),
    ...         keras.layers.Conv2D(4, 5, padding="same", name="conv5"),
    ...     ],
    ...     name="edge",
    ... )(inputs)
    >>> model = keras.Model(inputs, keras.layers.GlobalMaxPooling2D()(x))
    """

    netopt_schedulable = {"temperature": (1e-6, float("inf"))}

    def __init__(
        self,
        candidates: Sequence[keras.Layer],
        sampling: str | None = None,
        temperature: float = 1.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        # Shares of options are float32, also with inputs in half precision.
        super().__init__(autocast=False, **kwargs)
        self.supports_masking = True
        self.candidates = check_candidates(candidates)
        self.sampling = check_sampling(sampling, tuple(MODES))
        self.initial_temperature = check_positive(temperature, "temperature")
        self.seed = check_seed(seed)
        self.decision: Any = None

    def build(self, input_shape: Any) -> None:
        """Builds the candidates, and the weights of the decision."""
        shape, shared = _split(input_shape)
        build_candidates(self.candidates, shape, self.compute_dtype)
        names = option_labels(self.candidates)
        if shared is not None:
            self._check_shared(shared)
            return
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
        """Returns the output of one candidate, or the weighted sum of all."""
        count = len(self.candidates)
        if self.decision is None:
            x, weights = inputs
            index = ops.cast(ops.argmax(weights), "int32")
            mixes = ops.less(ops.max(weights), 1.0)
        else:
            x = inputs
            index = self.choose(self.decision, training)
            weights = option_weights(self.decision, index, bool(training))
            mixes = is_mixture(self.decision)
        branches = [
            Branch(functools.partial(layer, x), [layer])
            for layer in self.candidates
        ]
        mixture = Branch(
            lambda: self._mix(x, weights), self.candidates, [weights]
        )
        outputs, loss = call_branch(
            ops.where(mixes, count, index),
            [*branches, mixture],
            keeps_state=bool(training),
        )
        if loss is not None:
            self.add_loss(loss)
        if self.decision is not None:
            self.count_draw(self.decision, training)
        return outputs

    def _mix(self, x: Any, weights: Any) -> Any:
        outputs = [layer(x) for layer in self.candidates]
        shares = ops.cast(weights, outputs[0].dtype)
        return sum(shares[k] * one for k, one in enumerate(outputs))

    def compute_output_spec(
        self, inputs: Any, training: bool | None = None
    ) -> Any:
        """Returns the shape and dtype that all candidates give."""
        x = inputs[0] if isinstance(inputs, list | tuple) else inputs
        if keras.backend.is_float_dtype(x.dtype):
            x = keras.KerasTensor(tuple(x.shape), dtype=self.compute_dtype)
        return self.candidates[0].compute_output_spec(x)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the output shape of the candidates."""
        shape, _ = _split(input_shape)
        return self.candidates[0].compute_output_shape(shape)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Returns the mask that the candidates give."""
        if isinstance(inputs, list | tuple):
            inputs = inputs[0]
            previous_mask = previous_mask and previous_mask[0]
        return self.candidates[0].compute_mask(inputs, previous_mask)

    def chosen_layer(self, architecture: Architecture) -> keras.Layer:
        """Returns a candidate."""
        return self.candidates[architecture[self.name]]

    def _check_shared(self, shape: Any) -> None:
        """Checks the input that brings the weights of another layer."""
        count = len(self.candidates)
        if tuple(shape) != (count,):
            raise ValueError(
                f"The second input of {self.name!r} must be the output of "
                f"`ArchitectureWeights({count})`, one weight per candidate. "
                f"Received: input_shape={tuple(shape)}"
            )
        for name in ("sampling", "seed"):
            if getattr(self, name) is not None:
                raise ValueError(
                    f"Argument `{name}` must be given to the "
                    "`ArchitectureWeights` that the second input comes from. "
                    f"Received: {name}={getattr(self, name)!r}"
                )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "candidates": [
                keras.saving.serialize_keras_object(layer)
                for layer in self.candidates
            ],
            "sampling": self.sampling,
            "temperature": self.initial_temperature,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Choice":
        """Builds the layer from its config."""
        candidates = [
            keras.saving.deserialize_keras_object(layer)
            for layer in config["candidates"]
        ]
        return cls(**{**config, "candidates": candidates})


def _split(shape: Any) -> tuple[Any, Any]:
    """Splits the shapes of `[x, weights]`; one shape has no second part."""
    nested = [isinstance(one, list | tuple) for one in shape]
    if len(shape) == 2 and all(nested):
        return shape[0], shape[1]
    return shape, None
