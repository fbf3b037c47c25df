"""Lets a block work on the tokens that need it most."""

import math
from typing import Any

import keras
from keras import ops

from keras_netopt.checks import (
    check_at_least_zero,
    check_bool,
    check_choice,
)
from keras_netopt.depth.layer import BlockLayer, build_block
from keras_netopt.depth.tokens import chosen, first_of, gather, put_back
from keras_netopt.serialization import export_class

ROUTERS = ("sigmoid", "raw")


@export_class
class MixtureOfDepths(BlockLayer):
    """Runs a block on a fixed share of the tokens; the others pass by.

    A router scores every token of a sequence. The `k = ceil(capacity * steps)`
    best go through the block, in their order, and come back as
    `x + sigmoid(score) * block(x)`; the rest stays exactly as it was. k is
    known when the model is built, so shapes are static and the saving is real
    in training, inference and LiteRT alike. Attention inside the block is
    between the chosen tokens only.

    Which tokens are the best ones of a sequence is known at its end only.
    With `causal=True` inference takes, in their order, the tokens with a
    score above 0 while there is room, and training teaches the router to
    foresee its own choice; the block must be causal itself.

    Example:

    >>> import keras
    >>> import keras_netopt as netopt
    >>> inputs = keras.Input((16, 8))
    >>> block = keras.Sequential(
    ...     [
    ...         keras.layers.LayerNormalization(),
    ...         keras.layers.Dense(32, activation="gelu"),
    ...         keras.layers.Dense(8),
    ...     ]
    ... )
    >>> layer = netopt.layers.MixtureOfDepths(block, capacity=0.25)
    >>> outputs = layer(inputs)
    >>> layer.tokens
    4

    Args:
        block: A layer or model of one input, without its residual, that
            keeps the shape `(batch, k, features)`.
        capacity: Share of the tokens that the block sees, a float in (0, 1].
            Defaults to `0.5`.
        router: What the block's output is multiplied by: "sigmoid" of the
            score, or the "raw" score, as in the paper. Defaults to
            `"sigmoid"`.
        causal: Whether inference may not look ahead. Defaults to `False`.
        aux_weight: Weight of the loss that teaches the router to foresee its
            choice, at least 0; used where `causal=True`. Defaults to `0.01`.
        **kwargs: As in every Keras layer: `name`, `dtype`.

    Call arguments:
        inputs: Tensor of shape `(batch, steps, features)`.
        training: Whether the whole sequence may be compared. Keras sets it.

    Input shape:
        `(batch, steps, features)` with a known number of steps.

    Output shape:
        That of the input.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or, when the layer is
            built, if the number of steps is free or the block changes the
            shape.

    Reference:
        Raposo et al., "Mixture-of-Depths: Dynamically allocating compute in
        transformer-based language models", 2024,
        https://arxiv.org/abs/2404.02258 (its r is the score; it uses the raw
        one, capacity 0.125 and every other block).
    """

    netopt_scheduled = {"aux_weight": (0.0, math.inf)}
    netopt_fixed = {
        "capacity": "it sets how many tokens the block sees, hence shapes"
    }

    def __init__(
        self,
        block: keras.Layer,
        capacity: float = 0.5,
        *,
        router: str = "sigmoid",
        causal: bool = False,
        aux_weight: float = 0.01,
        **kwargs: Any,
    ) -> None:
        super().__init__(block, **kwargs)
        self.capacity = check_at_least_zero(capacity, "capacity")
        if not 0.0 < self.capacity <= 1.0:
            raise ValueError(
                "Argument `capacity` must be a float in (0, 1]. "
                f"Received: capacity={capacity!r}"
            )
        check_choice(router, "router", ROUTERS)
        self.router = router
        self.causal = check_bool(causal, "causal")
        self.initial_aux_weight = check_at_least_zero(aux_weight, "aux_weight")

    @property
    def tokens(self) -> int:
        """How many tokens of a sequence the block sees."""
        # 0.3 * 10 is 3.0000000000000004 or 2.9999999999999996.
        return max(1, math.ceil(round(self.capacity * self.steps, 6)))

    def build(self, input_shape: Any) -> None:
        """Builds the block for the chosen tokens, and the router."""
        if len(input_shape) != 3 or input_shape[1] is None:
            raise ValueError(
                "MixtureOfDepths needs inputs of shape (batch, steps, "
                "features) with a known number of steps: "
                "`keras.Input((steps, features))`. "
                f"Received: input_shape={tuple(input_shape)}"
            )
        batch, self.steps, features = input_shape
        build_block(self, self.block, (batch, self.tokens, features))
        self.scores = keras.layers.Dense(
            1, use_bias=False, dtype="float32", name="router"
        )
        self.scores.build(tuple(input_shape))
        self.aux_weight = self.add_scheduled_variable(
            "aux_weight", self.initial_aux_weight
        )

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Returns the inputs with the chosen tokens changed."""
        scores = self.scores(inputs)[..., 0]
        if self.causal and not training:
            hit, places = first_of(scores > 0.0, self.tokens)
        else:
            hit, places = chosen(scores, self.tokens)
        if self.causal and training:
            self.add_loss(self.aux_weight * self._surprise(inputs, hit))
        outputs = self.block(gather(inputs, places))
        weights = gather(scores[..., None], places)
        if self.router == "sigmoid":
            weights = ops.sigmoid(weights)
        added = ops.cast(outputs, inputs.dtype) * ops.cast(
            weights, inputs.dtype
        )
        return put_back(inputs, added, hit)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "capacity": self.capacity,
            "router": self.router,
            "causal": self.causal,
            "aux_weight": self.initial_aux_weight,
        }

    def _surprise(self, inputs: Any, hit: Any) -> Any:
        """Cross-entropy of the choice, for the router alone to learn from."""
        logits = self.scores(ops.stop_gradient(inputs))[..., 0]
        return ops.mean(
            ops.binary_crossentropy(
                ops.stop_gradient(hit), logits, from_logits=True
            )
        )
