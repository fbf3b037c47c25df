"""Dense, EinsumDense and Embedding.

Private names of Keras 3.15: `Dense._kernel`, `EinsumDense._kernel`,
`Embedding._embeddings`.
"""

from typing import Any

import keras
import numpy as np

from keras_netopt.surgery.coupled_axis import (
    IN,
    OUT,
    PASS,
    UnsupportedLayer,
)
from keras_netopt.surgery.handler_registry import Handler, handles
from keras_netopt.surgery.handlers.activations import check_activation
from keras_netopt.surgery.handlers.constants import bound_arguments
from keras_netopt.surgery.handlers.handler_tools import (
    replace_channel_axis,
    single_input,
    update_input_spec,
)


@handles(keras.layers.Dense)
class DenseHandler(Handler):
    """Takes the last axis as input and makes a new one."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        tensor, output = single_input(graph, node), node.outputs[0]
        ids = graph.channels(tensor, -1, alone=False)
        graph.couple_axis(layer, layer._kernel, 0, ids, IN)
        units = graph.new_units(layer, layer.units)
        graph.couple_axis(layer, layer._kernel, 1, units, OUT)
        graph.couple_axis(layer, layer.bias, 0, units, OUT, new_value="zeros")
        check_activation(graph, layer, units)
        replace_channel_axis(graph, tensor, output, -1, units)

    def update_attributes(self, layer: Any, node: Any) -> None:
        inputs, layer.units = (int(size) for size in layer._kernel.shape)
        update_input_spec(layer, {-1: inputs})


@handles(keras.layers.Embedding)
class EmbeddingHandler(Handler):
    """Makes units from tokens."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        tensor = node.input_tensors[0]
        if graph.channel_axes(tensor):
            raise UnsupportedLayer("takes channels as tokens")
        units = graph.new_units(layer, layer.output_dim)
        graph.couple_axis(layer, layer._embeddings, 1, units, OUT)
        graph.set_channels(node.outputs[0], -1, units)

    def update_attributes(self, layer: Any, node: Any) -> None:
        layer.output_dim = int(layer._embeddings.shape[1])


@handles(keras.layers.ReversibleEmbedding)
class ReversibleEmbeddingHandler(EmbeddingHandler):
    """Makes units from tokens, and takes them as input in reverse.

    Tied weights do both: a unit may be removed and not copied.
    """

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        given = bound_arguments(layer, node)
        tensor, output = given["inputs"], node.outputs[0]
        units = graph.new_units(layer, layer.output_dim)
        graph.couple_axis(layer, layer._embeddings, 1, units, OUT)
        if not layer.tie_weights:
            graph.couple_axis(layer, layer.reverse_embeddings, 0, units, IN)
        if not given.get("reverse"):
            super().trace(graph, layer, node)
            return
        if layer.tie_weights:
            graph.take_as_input(layer._embeddings, 1)
        graph.couple(units, graph.channels(tensor, -1, alone=False))
        axes = graph.channel_axes(tensor)
        axes.pop(len(tensor.shape) - 1, None)
        graph.set_channel_axes(output, axes)


@handles(keras.layers.EinsumDense)
class EinsumDenseHandler(Handler):
    """Couples each axis of the kernel by its letter in the equation.

    Letters of input and kernel are inputs, letters of kernel and output are
    made, letters of all three have one kernel each. The last letter that is
    made gives the default units; the units of another letter have the letter
    as their kind.
    """

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        tensor, output = single_input(graph, node), node.outputs[0]
        read, kernel, made = _letters(layer.equation, tensor, output)
        labels: dict[str, np.ndarray] = {}
        for axis, ids in graph.channel_axes(tensor).items():
            if read[axis] not in made + kernel:
                raise UnsupportedLayer("sums over its channels")
            labels[read[axis]] = ids
        for letter in kernel:
            if letter in read and letter not in made:
                axis = read.index(letter)
                labels[letter] = graph.channels(tensor, axis, alone=False)
        new = [letter for letter in made if letter in set(kernel) - set(read)]
        for letter in new:
            size = int(layer._kernel.shape[kernel.index(letter)])
            kind = "" if letter == new[-1] else letter
            labels[letter] = graph.new_units(layer, size, kind)
            check_activation(graph, layer, labels[letter])
        if graph.inside and len(new) > 1:
            reason = f"is the size of the heads of '{layer.name}'"
            graph.protect(labels[new[-1]], reason)
        for letter in kernel:
            if letter in labels:
                self._bind(graph, layer, (read, kernel, made), letter, labels)
        axes = {made.index(k): ids for k, ids in labels.items() if k in made}
        graph.set_channel_axes(output, axes)

    def _bind(
        self,
        graph: Any,
        layer: Any,
        equation: tuple[str, str, str],
        letter: str,
        labels: dict[str, np.ndarray],
    ) -> None:
        read, kernel, made = equation
        role = PASS if letter in made else IN
        role = role if letter in read else OUT
        ids, axis = labels[letter], kernel.index(letter)
        graph.couple_axis(layer, layer._kernel, axis, ids, role)
        if layer.bias is None or letter not in made:
            return
        # The bias has one axis for each letter from its first one to the last.
        position = made.index(letter) - (len(made) - len(layer.bias.shape))
        if position >= 0 and letter in layer.bias_axes:
            graph.couple_axis(
                layer, layer.bias, position, ids, role, new_value="zeros"
            )

    def update_attributes(self, layer: Any, node: Any) -> None:
        tensor = node.input_tensors[0]
        read, kernel, made = _letters(layer.equation, tensor, node.outputs[0])
        sizes = dict(zip(read, tensor.shape, strict=True))
        sizes.update(zip(kernel, layer._kernel.shape, strict=True))
        shape = layer.partial_output_shape
        start = len(made) - len(shape)
        if layer.equation.endswith("..."):
            start = 1
        layer.partial_output_shape = tuple(
            old if old is None else sizes[letter]
            for old, letter in zip(shape, made[start:], strict=False)
        )


def _letters(equation: str, tensor: Any, output: Any) -> tuple[str, str, str]:
    """Splits an equation; an ellipsis becomes digits."""
    left, made = equation.replace(" ", "").split("->")
    read, kernel = left.split(",")
    free = len(tensor.shape) - len(read.replace("...", ""))
    names = "".join(chr(ord("0") + position) for position in range(free))
    read, made = (text.replace("...", names) for text in (read, made))
    if len(read) != len(tensor.shape) or len(made) != len(output.shape):
        raise UnsupportedLayer(f"has the equation '{equation}'")
    return read, kernel, made
