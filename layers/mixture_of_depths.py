"""Mixture-of-Depths: runs a block on the top-k tokens of a router."""

import math
from typing import Any

import keras
from keras import ops

from keras_netopt.checks import (
    check_at_least_zero,
    check_bool,
    check_choice,
)
from keras_netopt.depth.depth_layer import BlockWrapper, build_block
from keras_netopt.depth.token_selection import (
    add_to_selected_tokens,
    gather_tokens,
    select_first_k,
    select_top_k,
)
from keras_netopt.serialization import export_class

ROUTER_ACTIVATIONS = ("sigmoid", "linear")


@export_class
class MixtureOfDepths(BlockWrapper):
    """Runs a block on the top-k tokens of a sequence.

    A router scores every token. The `k = ceil(capacity * steps)` tokens with
    the highest scores pass the block, in sequence order, and become
    `x + sigmoid(score) * block(x)`; the others are unchanged bit for bit. k
    is known when the model is built, so shapes are static and computation is
    saved in training, inference and LiteRT. Attention inside the block is
    restricted to the selected tokens.

    Top-k selection needs the whole sequence. With `causal=True` inference
    instead selects the first k tokens with a score above 0, and an auxiliary
    loss trains the router to predict the top-k selection; the block must be
    causal itself.

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
    >>> layer.top_k
    4

    Args:
        block: The residual branch: a layer or model with one input and an
            output of the same shape, `(batch, k, features)`.
        capacity: Share of the tokens that pass the block, a float in (0, 1].
            Defaults to `0.5`.
        router_activation: Activation of the score that multiplies the block's
            output: "sigmoid", or "linear" as in the paper. Defaults to
            `"sigmoid"`.
        causal: If `True`, routing is causal at inference. Defaults to
            `False`.
        aux_loss_weight: Weight of the auxiliary loss of the router, at least
            0; used if `causal=True`. Defaults to `0.01`.
        **kwargs: As in every Keras layer: `name`, `dtype`.

    Call arguments:
        inputs: Tensor of shape `(batch, steps, features)`.
        training: Whether a causal router uses top-k selection. Set by Keras.

    Input shape:
        `(batch, steps, features)` with a known number of steps.

    Output shape:
        The input shape.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or, when the layer is
            built, if the number of steps is unknown or the block changes the
            shape.

    Reference:
        Raposo et al., "Mixture-of-Depths: Dynamically allocating compute in
        transformer-based language models", 2024,
        https://arxiv.org/abs/2404.02258 (its r is the score; it uses a
        linear router, capacity 0.125 and every other block).
    """

    netopt_schedulable = {"aux_loss_weight": (0.0, math.inf)}
    netopt_not_schedulable = {
        "capacity": "it sets the number of selected tokens, hence shapes"
    }

    def __init__(
        self,
        block: keras.Layer,
        capacity: float = 0.5,
        *,
        router_activation: str = "sigmoid",
        causal: bool = False,
        aux_loss_weight: float = 0.01,
        **kwargs: Any,
    ) -> None:
        super().__init__(block, **kwargs)
        self.capacity = check_at_least_zero(capacity, "capacity")
        if not 0.0 < self.capacity <= 1.0:
            raise ValueError(
                "Argument `capacity` must be a float in (0, 1]. "
                f"Received: capacity={capacity!r}"
            )
        check_choice(router_activation, "router_activation", ROUTER_ACTIVATIONS)
        self.router_activation = router_activation
        self.causal = check_bool(causal, "causal")
        self.initial_aux_loss_weight = check_at_least_zero(
            aux_loss_weight, "aux_loss_weight"
        )

    @property
    def top_k(self) -> int:
        """Number of tokens per sequence that pass the block."""
        # 0.3 * 10 is 3.0000000000000004 or 2.9999999999999996.
        return max(1, math.ceil(round(self.capacity * self.steps, 6)))

    def build(self, input_shape: Any) -> None:
        """Builds the block for k tokens, and the router."""
        if len(input_shape) != 3 or input_shape[1] is None:
            raise ValueError(
                "MixtureOfDepths requires inputs of shape (batch, steps, "
                "features) with a known number of steps: "
                "`keras.Input((steps, features))`. "
                f"Received: input_shape={tuple(input_shape)}"
            )
        batch, self.steps, features = input_shape
        build_block(self, self.block, (batch, self.top_k, features))
        self.router = keras.layers.Dense(
            1, use_bias=False, dtype="float32", name="router"
        )
        self.router.build(tuple(input_shape))
        self.aux_loss_weight = self.add_scheduled_variable(
            "aux_loss_weight", self.initial_aux_loss_weight
        )

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Returns the inputs with the block added to the selected tokens."""
        scores = self.router(inputs)[..., 0]
        if self.causal and not training:
            mask, indices = select_first_k(scores > 0.0, self.top_k)
        else:
            mask, indices = select_top_k(scores, self.top_k)
        if self.causal and training:
            self.add_loss(self.aux_loss_weight * self._aux_loss(inputs, mask))
        outputs = self.block(gather_tokens(inputs, indices))
        weights = gather_tokens(scores[..., None], indices)
        if self.router_activation == "sigmoid":
            weights = ops.sigmoid(weights)
        updates = ops.cast(outputs, inputs.dtype) * ops.cast(
            weights, inputs.dtype
        )
        return add_to_selected_tokens(inputs, updates, mask)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "capacity": self.capacity,
            "router_activation": self.router_activation,
            "causal": self.causal,
            "aux_loss_weight": self.initial_aux_loss_weight,
        }

    def _aux_loss(self, inputs: Any, mask: Any) -> Any:
        """Cross-entropy of the selection, with gradients of the router only."""
        logits = self.router(ops.stop_gradient(inputs))[..., 0]
        return ops.mean(
            ops.binary_crossentropy(
                ops.stop_gradient(mask), logits, from_logits=True
            )
        )
