"""Runs a model in float64.

Private name of Keras 3.15: `keras.src.backend.common.dtypes`, whose
`BIT64_TO_BIT32_DTYPE` makes float32 of float64 on JAX and torch.
"""

import contextlib
from collections.abc import Iterator

import keras
from keras.src.backend.common.dtypes import BIT64_TO_BIT32_DTYPE

from keras_netopt.graph.layers import walk_layers


@contextlib.contextmanager
def double_precision(model: keras.Model) -> Iterator[None]:
    """Lets every layer compute in float64; the variables keep their dtype.

    Layers with quantized weights keep their dtype.
    """
    old = [
        (layer, layer.dtype_policy)
        for layer in walk_layers(model)
        if not layer.dtype_policy.quantization_mode
    ]
    promoted = BIT64_TO_BIT32_DTYPE["float64"]
    BIT64_TO_BIT32_DTYPE["float64"] = "float64"
    try:
        for layer, _ in old:
            layer.dtype_policy = "float64"
        with _allow_float64():
            yield
    finally:
        BIT64_TO_BIT32_DTYPE["float64"] = promoted
        for layer, policy in old:
            layer.dtype_policy = policy


def _allow_float64() -> contextlib.AbstractContextManager[None]:
    if keras.backend.backend() != "jax":
        return contextlib.nullcontext()
    import jax

    return jax.enable_x64(True)
