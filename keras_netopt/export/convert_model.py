"""Calls Keras' LiteRT exporter and explains its errors."""

import gzip
import re
import warnings
from functools import partial

import keras

from keras_netopt.cost.tflite_model import ignore_deprecation_warning
from keras_netopt.export.export_error import ExportError
from keras_netopt.export.exportable_model import ExportableModel
from keras_netopt.export.input_samples import Arrays, iterate_batches
from keras_netopt.export.litert_report import FileSize
from keras_netopt.export.quantization_mode import converter_settings
from keras_netopt.graph.layers import walk_layers

IGNORED_WARNINGS = (
    # Raised for every calibrated file with float inputs and outputs.
    "Statistics for quantized inputs were expected",
)


def convert_model(
    exportable: ExportableModel,
    path: str,
    *,
    quantize: str | None = None,
    sparse: bool = False,
    samples: Arrays | None = None,
    quantized_io: bool = False,
    allow_select_tf_ops: bool = False,
) -> None:
    """Writes a LiteRT file, not yet verified.

    `samples` are the calibration inputs by name; the other options are those
    of `to_litert`. Raises ExportError if the converter refuses the model.
    """
    dataset = None
    if samples is not None:
        dataset = partial(iterate_batches, exportable, samples, single=True)
    settings = converter_settings(
        quantize,
        sparse=sparse,
        representative_dataset=dataset,
        quantized_io=quantized_io,
        allow_select_tf_ops=allow_select_tf_ops,
    )
    with ignore_deprecation_warning(), warnings.catch_warnings():
        for message in IGNORED_WARNINGS:
            warnings.filterwarnings("ignore", message=message)
        try:
            exportable.model.export(
                path,
                format="litert",
                verbose=False,
                input_signature=exportable.signature,
                **settings,
            )
        except OSError:
            raise
        # The converter, and the model's own code while it is traced, may
        # raise anything.
        except Exception as error:
            raise explain_conversion_error(error, exportable.model) from error


def measure_file(path: str) -> FileSize:
    """Measures a file, raw and gzipped: the same for the same content."""
    with open(path, "rb") as file:
        content = file.read()
    return FileSize(len(content), len(gzip.compress(content, 9, mtime=0)))


def explain_conversion_error(
    error: Exception, model: keras.Model
) -> ExportError:
    """Turns an error of the converter into one that names the remedy.

    Example:

    >>> import keras
    >>> error = Exception("'tf.MatrixInverse' op is neither a custom op")
    >>> print(explain_conversion_error(error, keras.Sequential()))
    LiteRT has no kernel for: MatrixInverse. Replace the op, or pass \
`allow_select_tf_ops=True` if the device provides TensorFlow's Flex delegate.
    """
    text = str(error)
    listed = re.findall(r"^(?:Custom|TF Select) ops: (.+)$", text, re.M)
    ops = {op.strip() for line in listed for op in line.split(",")}
    ops |= set(re.findall(r"'tf\.(\w+)' op", text))
    if not ops:
        line = text.strip().partition("\n")[0][:300]
        return ExportError(
            f"The converter refused the model: {type(error).__name__}: {line}"
        )
    layers = _layers_in(text, ops, model)
    where = f" (in layer {', '.join(layers)})" if layers else ""
    if any(op.startswith("TensorList") for op in ops):
        remedy = (
            "A loop over tensors requires fixed shapes: pass "
            "`input_signature=` with a fixed batch and time axis."
        )
    else:
        remedy = (
            "Replace the op, or pass `allow_select_tf_ops=True` if the device "
            "provides TensorFlow's Flex delegate."
        )
    names = ", ".join(sorted(ops))
    return ExportError(f"LiteRT has no kernel for: {names}{where}. {remedy}")


def _layers_in(text: str, ops: set[str], model: keras.Model) -> list[str]:
    """Returns the innermost layers of the op paths in the message."""
    known = {layer.name for layer in walk_layers(model)}
    found = []
    for op in ops:
        pattern = rf'fused\["{re.escape(op)}:", "([^"@]+)@'
        for path in re.findall(pattern, text):
            # TensorFlow numbers a scope that it enters again.
            parts = [
                name
                for part in path.split("/")
                for name in (part, re.sub(r"_\d+$", "", part))
                if name in known
            ]
            found += parts[-1:]
    return sorted(set(found))
