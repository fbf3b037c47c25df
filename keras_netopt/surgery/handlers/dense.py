"""Dense, EinsumDense and Embedding.

Private names of Keras 3.15: `Dense._kernel`, `EinsumDense._kernel`,
`Embedding._embeddings`.
"""

from typing import Any

import keras
import numpy as np

from keras_netopt.surgery.graph.units import IN, OUT, PASS, Unsupported
from keras_netopt.surgery.handlers.common import (
    check_activation,
    expect,
    input_of,
    replace_axis,
)
from keras_netopt.surgery.handlers.registry import Handler, handles


@handles(keras.layers.Dense)
class DenseHandler(Handler):
    """Reads the last axis and makes a new one."""

    def bind(self, graph: Any, layer: Any, node: Any) -> None:
        tensor, output = input_of(graph, node), node.outputs[0]
        ids = graph.channels(tensor, -1, alone=False)
        graph.bind(layer, layer._kernel, 0, ids, IN)
        units = graph.new_units(layer, layer.units)
        graph.bind(layer, layer._kernel, 1, units, OUT)
        graph.bind(layer, layer.bias, 0, units, OUT, fresh="zeros")
        check_activation(graph, layer, units)
        replace_axis(graph, tensor, output, -1, units)

    def sync(self, layer: Any, node: Any) -> None:
        inputs, layer.units = (int(size) for size in layer._kernel.shape)
        expect(layer, {-1: inputs})


@handles(keras.layers.Embedding)
class EmbeddingHandler(Handler):
    """Makes units out of tokens."""

    def bind(self, graph: Any, layer: Any, node: Any) -> None:
        tensor = input_of(graph, node)
        if graph.axes(tensor):
            raise Unsupported("reads channels as tokens")
        units = graph.new_units(layer, layer.output_dim)
        graph.bind(layer, layer._embeddings, 1, units, OUT)
        graph.set_label(node.outputs[0], -1, units)

    def sync(self, layer: Any, node: Any) -> None:
        layer.output_dim = int(layer._embeddings.shape[1])


@handles(keras.layers.EinsumDense)
class EinsumDenseHandler(Handler):
    """Binds each axis of the kernel by its letter in the equation.

    Letters of the input and the kernel alone are read, letters of the kernel
    and the output alone are made, letters of all three have a kernel each.
    The last letter that is made gives the plain units; the units of another
    one have the letter as their kind.
    """

    def bind(self, graph: Any, layer: Any, node: Any) -> None:
        tensor, output = input_of(graph, node), node.outputs[0]
        read, kernel, made = _letters(layer.equation, tensor, output)
        labels: dict[str, np.ndarray] = {}
        for axis, ids in graph.axes(tensor).items():
            if read[axis] not in made + kernel:
                raise Unsupported("adds its channels up")
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
        for letter in kernel:
            if letter in labels:
                self._bind(graph, layer, (read, kernel, made), letter, labels)
        axes = {made.index(k): ids for k, ids in labels.items() if k in made}
        graph.set_axes(output, axes)

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
        graph.bind(layer, layer._kernel, axis, ids, role)
        if layer.bias is None or letter not in made:
            return
        # The bias has an axis for each letter from the first of its own on.
        place = made.index(letter) - (len(made) - len(layer.bias.shape))
        if place >= 0 and letter in layer.bias_axes:
            graph.bind(layer, layer.bias, place, ids, role, fresh="zeros")

    def sync(self, layer: Any, node: Any) -> None:
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
    """Splits an equation; an ellipsis becomes figures."""
    left, made = equation.replace(" ", "").split("->")
    read, kernel = left.split(",")
    free = len(tensor.shape) - len(read.replace("...", ""))
    names = "".join(chr(ord("0") + place) for place in range(free))
    read, made = (text.replace("...", names) for text in (read, made))
    if len(read) != len(tensor.shape) or len(made) != len(output.shape):
        raise Unsupported(f"has the equation '{equation}'")
    return read, kernel, made
