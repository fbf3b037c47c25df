"""A stack of blocks of which the number is chosen."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_netopt.checks import check_bool, check_seed
from keras_netopt.depth.depth_layer import build_block, check_block
from keras_netopt.graph.layers import walk_layers
from keras_netopt.search.supernet.decision import (
    FIXED,
    SANDWICH,
    Decision,
)
from keras_netopt.search.supernet.elastic_arguments import (
    SAMPLING,
    check_sizes,
)
from keras_netopt.search.supernet.searchable_layer import (
    Architecture,
    SearchableLayer,
    check_sampling,
)
from keras_netopt.serialization import export_class
from keras_netopt.training.branches import Branch, call_branch


@export_class
class ElasticDepth(SearchableLayer):
    """Stack that runs its first blocks only.

    Depth d runs the blocks 0 to d - 1; the others are not computed. A layer
    starts with its largest depth. `callbacks.ArchitectureSearch` samples the
    depths during `fit`, `search.extract` returns a network without the other
    blocks. Blocks may hold elastic layers and choices of their own.

    Example:

    >>> import keras
    >>> import keras_netopt as netopt
    >>> blocks = [keras.layers.Dense(4, name=f"block_{k}") for k in range(3)]
    >>> stack = netopt.layers.ElasticDepth(blocks, residual=True, name="stack")
    >>> model = keras.Sequential([keras.Input((4,)), stack])
    >>> shallow = netopt.search.extract(model, {"stack": 1})
    >>> stack.options, shallow.count_params()  # Two blocks of 20 weights.
    ((1, 2, 3), 40)

    Args:
        blocks: Layers or models with one input whose output has the shape of
            their input.
        depths: Numbers of blocks, at least 0, in ascending order; the last is
            the number of all blocks. Defaults to `None`: 1, 2, ... to all.
        residual: Whether this layer adds the input of each block to its
            output. Defaults to `False`: the blocks have their own skip
            connection, or none.
        sampling: How a plain `fit` chooses: "uniform", "fair", "sandwich" or
            "fixed", as in `layers.Choice`. Defaults to `None`: "fixed", the
            largest depth.
        seed: Random seed, an integer. Defaults to `None`: a random seed.
        **kwargs: As in every Keras layer: `name`, `dtype`.

    Call arguments:
        inputs: Tensor of shape `(batch, ...)`.
        training: Whether a depth is sampled. Set by Keras.

    Input shape:
        `(batch, ...)`, any rank that the blocks accept.

    Output shape:
        The input shape.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or, when the layer is
            built, if a block changes the shape.

    Reference:
        Cai et al., "Once-for-all: train one network and specialize it for
        efficient deployment", 2019, https://arxiv.org/abs/1908.09791.
    """

    def __init__(
        self,
        blocks: Sequence[keras.Layer],
        depths: Sequence[int] | None = None,
        *,
        residual: bool = False,
        sampling: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.blocks = _check_blocks(blocks)
        count = len(self.blocks)
        self.depths = check_sizes(
            depths, "depths", count, "len(blocks)", minimum=0
        )
        self.options = self.depths or tuple(range(1, count + 1))
        if len(self.options) < 2:
            raise ValueError(
                "Argument `depths` must hold at least two numbers to choose "
                f"from, such as [0, {count}]. Received: depths={depths!r} with "
                f"{count} blocks"
            )
        self.residual = check_bool(residual, "residual")
        self.sampling = check_sampling(sampling, SAMPLING)
        self.seed = check_seed(seed)

    def build(self, input_shape: Any) -> None:
        """Builds the blocks and the decision."""
        for block in self.blocks:
            build_block(self, block, input_shape, "blocks")
        self.add_decision(
            self.options,
            sampling=self.sampling,
            active=len(self.options) - 1,
            seed=self.seed,
        )

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Returns the output of the chosen number of blocks."""
        (decision,) = self.decisions()
        options = ops.convert_to_tensor(self.options, dtype="int32")
        depth = ops.take(options, self.choose(decision, training))
        self.count_draw(decision, training)
        x = inputs
        for k, block in enumerate(self.blocks):
            if k < self.options[0]:
                x = self._run_block(block, x)
            else:
                x = self._run_block_if(k < depth, block, x, training)
        return x

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns the input shape, which blocks keep."""
        return input_shape

    def axis_decisions(self) -> dict[str, Decision]:
        """Returns the decision of the axis "depth"."""
        return {"depth": self.decisions()[0]}

    def chosen_blocks(self, architecture: Architecture) -> list[keras.Layer]:
        """Returns the blocks that an architecture runs."""
        return self.blocks[: self.options[architecture[self.name]]]

    def chosen_layer(self, architecture: Architecture) -> Any:
        """Returns a model of the blocks that an architecture runs."""
        blocks = self.chosen_blocks(architecture)
        if not blocks or not self.residual:
            return blocks
        shape = self.get_build_config()["input_shape"]
        x = inputs = keras.Input(batch_shape=shape, dtype=self.compute_dtype)
        for block in blocks:
            x = keras.layers.Add()([x, block(x)])
        return keras.Model(inputs, x)

    def netopt_execution_rates(self, training: bool) -> dict[int, float]:
        """Returns the probability that each block runs."""
        (decision,) = self.decisions()
        shares = _option_shares(decision, training)
        return {
            id(block): float(shares[np.array(self.options) > k].sum())
            for k, block in enumerate(self.blocks)
        }

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "blocks": [
                keras.saving.serialize_keras_object(block)
                for block in self.blocks
            ],
            "depths": self.depths and list(self.depths),
            "residual": self.residual,
            "sampling": self.sampling,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "ElasticDepth":
        """Builds the layer from its config."""
        blocks = [
            keras.saving.deserialize_keras_object(block)
            for block in config["blocks"]
        ]
        return cls(**{**config, "blocks": blocks})

    def _run_block(self, block: keras.Layer, x: Any) -> Any:
        outputs = ops.cast(block(x), x.dtype)
        return x + outputs if self.residual else outputs

    def _run_block_if(
        self, runs: Any, block: keras.Layer, x: Any, training: bool | None
    ) -> Any:
        """Runs a block or skips it; its decisions count the call anyway.

        Otherwise layers that are skipped would leave the common cycle of
        "sandwich", and layers that share a decision would differ.
        """
        inner = [
            decision
            for layer in walk_layers(block)
            if isinstance(layer, SearchableLayer)
            for decision in layer.decisions()
        ]
        draws = [ops.copy(d.draws.value) for d in inner] if training else []
        outputs, loss = call_branch(
            ops.where(runs, 0, 1),
            [
                Branch(lambda: self._run_block(block, x), [block]),
                Branch(lambda: x),
            ],
            keeps_state=bool(training),
        )
        if loss is not None:
            self.add_loss(loss)
        for decision, before in zip(inner, draws, strict=False):
            decision.draws.assign(before + 1)
        return outputs


def _check_blocks(blocks: Any) -> list[keras.Layer]:
    if not isinstance(blocks, list | tuple) or len(blocks) < 1:
        raise TypeError(
            "Argument `blocks` must be a list of Keras layers. "
            f"Received: blocks={blocks!r}"
        )
    for block in blocks:
        check_block(block, "blocks")
    if len(set(map(id, blocks))) < len(blocks):
        raise ValueError(
            "Argument `blocks` must hold different layers, each of them once. "
            f"Received: blocks={[block.name for block in blocks]}"
        )
    return list(blocks)


def _option_shares(decision: Any, training: bool) -> np.ndarray:
    """Returns how often each option is used, floats that add up to 1."""
    mode, active, enabled = (
        np.array(ops.convert_to_numpy(v))
        for v in (decision.mode, decision.active, decision.enabled)
    )
    fixed: np.ndarray = np.zeros(len(enabled))
    fixed[int(active)] = 1.0
    if not training or int(mode) == FIXED:
        return fixed
    shares: np.ndarray = enabled / enabled.sum()
    if int(mode) == SANDWICH:
        ends: np.ndarray = np.zeros(len(enabled))
        np.add.at(ends, np.flatnonzero(enabled)[[0, -1]], 1.0)
        shares = (ends + 2 * shares) / 4
    return shares
