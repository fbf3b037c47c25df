"""Converts a model without a SavedModel, in a fifth of the time."""

import contextlib
import importlib
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import keras

from keras_netopt.cost.native_stderr import hide_native_stderr
from keras_netopt.cost.tflite_model import (
    ignore_deprecation_warning,
    load_schema,
)
from keras_netopt.export.compact_file import IDENTIFIER, make_builder
from keras_netopt.export.convert_model import explain_conversion_error
from keras_netopt.export.exportable_model import ExportableModel
from keras_netopt.export.low_bit_quantizer import LOW_BITS
from keras_netopt.export.quantization_mode import MODES
from keras_netopt.export.trained_ranges import has_trained_ranges, use_ranges
from keras_netopt.export.uint8_io import use_uint8_io

SIGNATURE = "serving_default"


def can_freeze(model: keras.Model, quantize: str | None) -> bool:
    """Whether `convert_frozen` takes a model: no calibration is needed."""
    is_calibrated = quantize is not None and MODES[quantize].needs_data
    return keras.backend.backend() == "tensorflow" and (
        not is_calibrated or has_trained_ranges(model, quantize)
    )


def convert_frozen(
    exportable: ExportableModel,
    quantize: str | None = None,
    quantized_io: bool | str = False,
) -> bytes:
    """Returns a LiteRT file whose weights were constants of the traced graph.

    It has the ops, weights and signature of the file that comes from a
    SavedModel. For `"int4"` and `"int2"` it is the float32 file.

    Raises:
        ExportError: If the model cannot be converted.
    """
    try:
        with use_ranges(exportable.model, quantize):
            outputs, content = _convert(exportable, quantize, quantized_io)
    # The converter, and the model's own code while it is traced, may raise
    # anything.
    except Exception as error:
        raise explain_conversion_error(error, exportable.model) from error
    content = _add_signature(content, exportable.names, outputs)
    return use_uint8_io(content) if quantized_io == "uint8" else content


def _convert(
    exportable: ExportableModel,
    quantize: str | None,
    quantized_io: bool | str,
) -> tuple[list[str], bytes]:
    import tensorflow as tf

    freezing = importlib.import_module(
        "tensorflow.python.framework.convert_to_constants"
    )
    specs = keras.tree.map_structure(
        lambda spec: tf.TensorSpec(spec.shape, spec.dtype, name=spec.name),
        exportable.signature,
    )
    names: list[str] = []

    def serve(*inputs: Any) -> list[Any]:
        outputs = exportable.model(*inputs, training=False)
        found = _name_outputs(outputs)
        names[:] = found
        return [tf.identity(tensor) for tensor in found.values()]

    traced = tf.function(serve, autograph=False).get_concrete_function(*specs)
    # The converter would leave variables uninitialised in the file.
    frozen = freezing.convert_variables_to_constants_v2(traced)
    with (
        warnings.catch_warnings(),
        ignore_deprecation_warning(),
        hide_native_stderr(),
        _quiet_log(),
    ):
        # Of missing statistics: their ranges are in the graph.
        warnings.simplefilter("ignore")
        converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen])
        if quantize is not None and quantize not in LOW_BITS:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantize == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if quantized_io:
            converter.inference_input_type = tf.int8
            converter.inference_output_type = tf.int8
        content: bytes = converter.convert()
    return names, content


def _name_outputs(outputs: Any) -> dict[str, Any]:
    """Returns the outputs by the names that Keras' exports give them."""
    if isinstance(outputs, dict):
        return dict(outputs)
    flat = keras.tree.flatten(outputs)
    return {f"output_{k}": tensor for k, tensor in enumerate(flat)}


def _add_signature(
    content: bytes, inputs: tuple[str, ...], outputs: list[str]
) -> bytes:
    """Names the inputs and outputs of a file, in the order that it has."""
    schema = load_schema()
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = model.subgraphs[0]
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = SIGNATURE, 0
    signature.inputs, signature.outputs = (
        [_map_tensor(schema, *pair) for pair in zip(names, at, strict=True)]
        for names, at in ((inputs, graph.inputs), (outputs, graph.outputs))
    )
    model.signatureDefs = [signature]
    builder = make_builder()
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def _map_tensor(schema: Any, name: str, index: int) -> Any:
    found = schema.TensorMapT()
    found.name, found.tensorIndex = name, int(index)
    return found


@contextlib.contextmanager
def _quiet_log() -> Iterator[None]:
    """Keeps the converter's advice on its deprecated path off the screen."""
    logger = logging.getLogger("absl")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before
