"""Converts a model with TensorFlow's converter and explains its errors."""

import gzip
import os
import re

import keras

from keras_netopt.cost.native_stderr import hide_native_stderr
from keras_netopt.cost.tflite_model import ignore_deprecation_warning
from keras_netopt.export.converter_process import (
    OTHER_BACKEND,
    REMEDY,
    ConverterProcess,
)
from keras_netopt.export.converter_program import run_job
from keras_netopt.export.export_error import ExportError
from keras_netopt.export.exportable_model import ExportableModel
from keras_netopt.export.input_samples import Samples, iterate_batches
from keras_netopt.export.litert_report import FileSize
from keras_netopt.export.quantization_mode import MODES, converter_settings
from keras_netopt.export.saved_model import write_saved_model
from keras_netopt.graph.layers import walk_layers, walk_paths


def convert_model(
    exportable: ExportableModel,
    path: str,
    *,
    folder: str,
    quantize: str | None = None,
    sparse: bool = False,
    samples: Samples | None = None,
    process: ConverterProcess | None = None,
    quantized_io: bool | str = False,
    allow_select_tf_ops: bool = False,
) -> None:
    """Writes a LiteRT file, not yet verified.

    `folder` is empty, or holds the SavedModel of an earlier call. `samples`
    are the calibration inputs of modes with calibration. `process` does the
    work that this one does not: calibration, and without the TensorFlow
    backend all of it. The other options are those of `to_litert`. Raises
    ExportError if the converter refuses the model.
    """
    settings = converter_settings(
        quantize,
        sparse=sparse,
        quantized_io=quantized_io,
        allow_select_tf_ops=allow_select_tf_ops,
        is_calibrated=samples is not None,
    )
    try:
        if os.listdir(folder):
            pass
        elif process is not None and process.rebuilds:
            process.write_saved_model(exportable, folder)
        else:
            write_saved_model(exportable.model, exportable.signature, folder)
        if process is None:
            with ignore_deprecation_warning(), hide_native_stderr():
                run_job(folder, path, settings)
            return
        batches = None
        if quantize is not None and MODES[quantize].needs_data and samples:
            batches = list(iterate_batches(exportable, samples, single=True))
        process.convert(folder, path, settings, batches)
    except ChildProcessError as error:
        raise _explain_end(error, exportable.model, quantize) from error
    except (OSError, ExportError):
        raise
    # The converter, and the model's own code while it is traced, may raise
    # anything.
    except Exception as error:
        raise explain_conversion_error(error, exportable.model) from error


def _explain_end(
    error: ChildProcessError, model: keras.Model, quantize: str | None
) -> ExportError:
    loops = [
        path or layer.name
        for path, layer in walk_paths(model)
        if isinstance(layer, keras.layers.RNN) and not layer.unroll
    ]
    unroll = (
        f" Or build the recurrent layers {loops} with `unroll=True`."
        if loops
        else ""
    )
    calibrates = quantize is not None and MODES[quantize].needs_data
    return ExportError(
        f"The process of the converter, quantize={quantize!r}, {error} This "
        "process and the model are not affected. "
        f"{REMEDY if calibrates else OTHER_BACKEND}{unroll}"
    )


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
        kind = type(error).__name__
        return ExportError(f"The converter refused the model: {kind}: {line}")
    layers = _layers_in(text, ops, model)
    where = f" (in layer {', '.join(layers)})" if layers else ""
    if any(op.startswith("StatelessRandom") for op in ops):
        remedy = (
            "The model draws random numbers at inference. Export a model "
            "without them, or pass `allow_select_tf_ops=True` if the device "
            "provides TensorFlow's Flex delegate."
        )
    elif any(op.startswith("TensorList") for op in ops):
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
