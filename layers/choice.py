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

    Training uses the candidates as `sampling` says; inference uses the
    weighted sum in the first two modes and otherwise the fixed candidate:

    | `sampling` | output in training |
    | --- | --- |
    | `None`, "mixture" | the sum of all candidates, weighted by a softmax |
    | "gumbel" | the same, with Gumbel noise on the logits |
    | "uniform" | one candidate, sampled at each call |
    | "fair" | each candidate once per round, in random order |
    | "sandwich" | the last, the first, and twice a random one, in turn |
    | "fixed" | the candidate that `search` sets, at first the first one |

    Only "mixture" and "gumbel" compute all candidates. In the other modes a
    step computes one, and weights, moving statistics and seeds of the others
    do not change. The mode is a weight of the layer: changing it compiles
    nothing again.

    `callbacks.ArchitectureSearch` searches in `fit`; `search.extract` makes
    the result a plain model. A candidate `keras.layers.Rescaling(0.0)` cuts
    the edge, as "none" does in DARTS; its weight never makes it the choice.

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
    >>> small = netopt.search.extract(model, {"edge": 1})
    >>> model.count_params(), small.count_params()
    (425, 304)

    Args:
        candidates: At least two layers or models with one input and one
            output, whose outputs have the same shape and dtype. Their names
            are the labels of the options.
        sampling: How training uses the candidates, see above. Defaults to
            `None`: "mixture".
        temperature: Divides the logits before the softmax, above 0. Defaults
            to `1.0`. `callbacks.ParameterScheduler` can set it.
        seed: Random seed, an integer. Layers of other names draw other
            samples from the same seed. Defaults to `None`: a random seed.
        **kwargs: As in every Keras layer: `name`, `dtype`. The name is that
            of the decision, and of the chosen layer after extraction.

    Call arguments:
        inputs: Tensor of shape `(batch, ...)`, or a list of that tensor and
            the output of `layers.ArchitectureWeights`, which then makes the
            decision for all choices that get it.
        training: Whether candidates are sampled. Set by Keras.

    Input shape:
        `(batch, ...)`, any shape that all candidates take.

    Output shape:
        That of the candidates.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or, when the layer is
            built, if the candidates do not fit the inputs or one another.

    Reference:
        Liu, Simonyan and Yang, "DARTS: differentiable architecture search",
        2018, https://arxiv.org/abs/1806.09055 ("mixture"). Guo et al., "Single
        path one-shot neural architecture search with uniform sampling", 2019,
        https://arxiv.org/abs/1904.00420 ("uniform"). Chu, Zhang and Xu,
        "FairNAS", 2019, https://arxiv.org/abs/1907.01845 ("fair").
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

    @property
    def gets_decision(self) -> bool:  # type: ignore[override]
        """Whether the second input brings the weights of another layer."""
        return self.decision is None

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
            x, shared = inputs
            index = ops.cast(ops.argmax(shared), "int32")
            mixes = ops.less(ops.max(shared), 1.0)
            own = None
        else:
            x, own = inputs, self.decision.read()
            shared = own.weights
            index = self.choose(self.decision, training)
            mixes = is_mixture(own)
        branches = [
            Branch(functools.partial(layer, x), [layer])
            for layer in self.candidates
        ]
        mixture = Branch(
            lambda: self._mix(
                x,
                shared
                if own is None
                else option_weights(own, index, bool(training)),
            ),
            self.candidates,
            [shared],
            recomputes=True,
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
