"""Short hashes of a model's graph and of its weights."""

import hashlib

import keras
import numpy as np

from keras_netopt.graph.trace_calls import graph_nodes

DIGITS = 16


def graph_fingerprint(model: keras.Model) -> str:
    """Hashes the layers that a model calls, in order, with their shapes.

    A reloaded copy has the same 16 hexadecimal digits.

    Example:

    >>> import keras
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> copy = keras.models.clone_model(model)
    >>> graph_fingerprint(model) == graph_fingerprint(copy)
    True
    """
    lines = [repr(tuple(getattr(model, "exit_names", ())))]
    lines += [
        f"{type(n.operation).__name__} {n.input_shapes} {n.output_shapes}"
        for n in graph_nodes(model)
    ]
    return _hash(["\n".join(lines).encode()])


def weights_fingerprint(model: keras.Model) -> str:
    """Hashes every weight of a model to 16 hexadecimal digits."""
    arrays = [
        np.ascontiguousarray(keras.ops.convert_to_numpy(v))
        for v in model.weights
    ]
    return _hash([a.tobytes() for a in arrays])


def _hash(parts: list[bytes]) -> str:
    digest = hashlib.blake2b(digest_size=DIGITS // 2)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()
