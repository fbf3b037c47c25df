"""Runs a model in float64, or in float32 where it computes in less.

Private name of Keras 3.15: `keras.src.backend.common.dtypes`, whose
`BIT64_TO_BIT32_DTYPE` makes float32 of float64 on JAX and torch.
"""

import contextlib
from collections.abc import Iterator

import keras
from keras.src.backend.common.dtypes import BIT64_TO_BIT32_DTYPE

from keras_netopt.graph.layers import walk_layers

HALF = ("float16", "bfloat16")


@contextlib.contextmanager
def double_precision(model: keras.Model) -> Iterator[None]:
    """Lets every layer compute in float64; the variables keep their dtype.

    Layers with quantized weights keep their dtype.
    """
    promoted = BIT64_TO_BIT32_DTYPE["float64"]
    BIT64_TO_BIT32_DTYPE["float64"] = "float64"
    try:
        with _change_policy(model, "float64"), _allow_float64():
            yield
    finally:
        BIT64_TO_BIT32_DTYPE["float64"] = promoted


@contextlib.contextmanager
def no_half_precision(model: keras.Model) -> Iterator[None]:
    """Lets layers that compute in half precision compute in float32.

    Small gradients vanish in half precision. The variables keep their dtype.
    """
    with _change_policy(model, "float32", HALF):
        yield


@contextlib.contextmanager
def _change_policy(
    model: keras.Model, dtype: str, only: tuple[str, ...] | None = None
) -> Iterator[None]:
    old = [
        (layer, layer.dtype_policy)
        for layer in walk_layers(model)
        if not layer.dtype_policy.quantization_mode
        and (only is None or layer.compute_dtype in only)
    ]
    try:
        for layer, _ in old:
            layer.dtype_policy = dtype
        yield
    finally:
        for layer, policy in old:
            layer.dtype_policy = policy


def _allow_float64() -> contextlib.AbstractContextManager[None]:
    if keras.backend.backend() != "jax":
        return contextlib.nullcontext()
    import jax

    return jax.enable_x64(True)
