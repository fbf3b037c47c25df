"""Models inside models.

Private names of Keras 3.15: `Functional._inputs`, `_outputs`,
`Sequential._functional`.
"""

from typing import Any

import keras
from keras.src.models.functional import Functional

from keras_netopt.surgery.graph.units import Unsupported
from keras_netopt.surgery.handlers.registry import Handler, handles


@handles(Functional, keras.Sequential)
class ModelHandler(Handler):
    """Follows the calls inside; a second call shares all that is inside."""

    def bind(self, graph: Any, layer: Any, node: Any) -> None:
        inner = getattr(layer, "_functional", None) or layer
        given = keras.tree.flatten(node.arguments.args[:1])
        if len(given) != len(inner._inputs):
            raise Unsupported(
                f"takes {len(inner._inputs)} inputs and is given {len(given)}"
            )
        for inside, outside in zip(inner._inputs, given, strict=True):
            if len(inside.shape) != len(outside.shape):
                raise Unsupported("is called on a tensor of another rank")
            self._enter(graph, inside, outside)
        graph.walk(layer)
        for inside, outside in zip(inner._outputs, node.outputs, strict=True):
            axes = graph.axes(inside)
            graph.set_axes(outside, axes, why=graph.why(inside))

    def _enter(self, graph: Any, inside: Any, outside: Any) -> None:
        if not graph.knows(inside):
            graph.set_axes(inside, graph.axes(outside), why=graph.why(outside))
            return
        for axis in {*graph.axes(inside), *graph.axes(outside)}:
            graph.unite(
                graph.channels(inside, axis, alone=False),
                graph.channels(outside, axis, alone=False),
            )
