"""Layers that make numbers of data, before there are channels."""

from typing import Any

import keras

from keras_netopt.surgery.coupled_axis import UnsupportedLayer
from keras_netopt.surgery.handler_registry import Handler, handles

L = keras.layers


@handles(
    *(L.Discretization, L.IntegerLookup, L.StringLookup, L.TextVectorization),
    *(L.Hashing, L.HashedCrossing, L.CategoryEncoding),
    *(L.MelSpectrogram, L.STFTSpectrogram),
)
class PreprocessingHandler(Handler):
    """Makes tokens, categories or spectra, whose sizes are fixed."""

    def trace(self, graph: Any, layer: Any, node: Any) -> None:
        if any(map(graph.channel_axes, node.input_tensors)):
            raise UnsupportedLayer("computes with the values of channels")
        for output in node.outputs:
            graph.set_channel_axes(
                output, {}, reason=graph.fixed_reason(node.input_tensors[0])
            )
