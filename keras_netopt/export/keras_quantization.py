"""Models quantized by Keras' own `quantize`: what converts, what does not."""

import contextlib
from collections.abc import Iterator

import keras

from keras_netopt.export.export_error import ExportError
from keras_netopt.graph.layers import walk_layers

REMEDY = (
    "Weight-only int8, `Int8QuantizationConfig(activation_quantizer=None)`, "
    "and int4 per channel, `Int4QuantizationConfig(block_size=-1)`, convert "
    "exactly; int8 with activations and float8 do not convert. Or export the "
    "float model with `quantize='dynamic'`."
)


def describe_quantized_layers(model: keras.Model) -> str:
    """Lists the layers quantized by Keras, or returns ""."""
    policy = keras.dtype_policies.QuantizedDTypePolicy
    names = [
        f"{layer.name} ({layer.dtype_policy.name})"
        for layer in walk_layers(model)
        if isinstance(layer.dtype_policy, policy)
    ]
    more = ", ..." if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


@contextlib.contextmanager
def explain_quantized_layers(model: keras.Model) -> Iterator[None]:
    """Adds to an ExportError that layers were quantized by Keras."""
    try:
        yield
    except ExportError as error:
        if not (names := describe_quantized_layers(model)):
            raise
        raise ExportError(
            f"{error} Layers were quantized by Keras: {names}. {REMEDY}"
        ) from error
