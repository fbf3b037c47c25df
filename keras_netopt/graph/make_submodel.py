"""Makes a model of a part of a graph."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_netopt.graph.model_graph import run_graph


def make_submodel(
    inputs: Sequence[Any], outputs: Any, *, name: str | None = None
) -> keras.Model:
    """Returns a model between tensors of a graph, with the same layers.

    The model has inputs of its own. `keras.Model(tensors, outputs)` would copy
    the calls of the `Input` of the whole graph too, after which no model with
    that `Input` can be saved (Keras 3.15).

    Args:
        inputs: Symbolic tensors that the outputs are computed from.
        outputs: A structure of symbolic tensors.
        name: Name of the model. Defaults to `None`: an automatic name.
    """
    part = keras.Function(list(inputs), outputs)
    fresh = [
        keras.Input(batch_shape=one.shape, dtype=one.dtype, sparse=one.sparse)
        for one in inputs
    ]
    made = run_graph(
        part, fresh, lambda call, args, kwargs: call(*args, **kwargs)
    )
    return keras.Model(fresh if len(fresh) > 1 else fresh[0], made, name=name)
