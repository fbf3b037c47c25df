"""Writes a Keras model to a LiteRT file and verifies the file."""

import os
import warnings
from typing import Any

import keras

from keras_netopt.checks import check_bool
from keras_netopt.export.converter_choice import (
    choose_converter,
    find_fixing,
)
from keras_netopt.export.exportable_model import (
    prepare_model,
)
from keras_netopt.export.keras_quantization import explain_quantized_layers
from keras_netopt.export.litert_report import LitertReport
from keras_netopt.export.litert_writer import LitertWriter
from keras_netopt.export.low_bit_quantizer import (
    LOW_BITS,
    check_grids,
    check_quantizer,
)
from keras_netopt.export.model_runs import ModelRuns
from keras_netopt.export.output_files import (
    check_target,
    open_temporary_files,
)
from keras_netopt.export.quantization_mode import MODES, check_quantization
from keras_netopt.export.runtime_target import find_target
from keras_netopt.export.sample_split import split_samples
from keras_netopt.export.trained_ranges import (
    check_converter,
    has_trained_ranges,
    use_ranges,
)
from keras_netopt.files import put_in_place


def to_litert(
    model: keras.Model,
    path: str | os.PathLike[str],
    *,
    target: str | None = None,
    quantize: str | None = None,
    sparse: bool = False,
    calibration_data: Any = None,
    quantized_io: bool | str = False,
    allow_select_tf_ops: bool = False,
    input_signature: Any = None,
    converter: str | None = None,
    compact: bool = False,
    overwrite: bool = False,
    seed: int = 0,
) -> LitertReport:
    """Writes a LiteRT file, runs it and compares it with the model.

    The file is converted beside `path`, run by the LiteRT interpreter and
    compared with `model(x, training=False)` by the names in its signature.
    Only a file that passes is moved to `path`; after an error `path` is
    unchanged. The model is not modified.

    TensorFlow converts the model. On the JAX and torch backends a process
    with TensorFlow rebuilds the model from its `get_config` and weights, which
    takes about five CPU seconds more; the file is verified against the model
    of this process. Recurrent layers are exported with a fixed batch of 1,
    models in mixed precision from a float32 clone; the report notes both.
    `"int8"` and `"int16x8"` are calibrated in a process on every backend, so
    that an end of the converter's native code is an `ExportError`.

    Example:

    >>> import keras
    >>> from keras_netopt.export import to_litert
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    >>> to_litert(model, "model.tflite", quantize="int8")
    Traceback (most recent call last):
        ...
    ValueError: Argument `calibration_data` must be given for \
quantize='int8'. Received: calibration_data=None. Pass 200 samples of real \
input or more, or train ranges with \
`callbacks.Quantization(activations=True)` (of a saved model: \
`quantization.load_ranges`).

    Args:
        model: A built Keras model: Functional, Sequential or subclassed.
        path: The file to write, ending in `.tflite`; its folder must exist.
        target: The runtime that is to run the file. `"web"` is LiteRT.js in a
            browser: a free batch is fixed to 1, inputs and outputs are
            float32, int32 or uint8. What it refuses is an error, before the
            conversion where it can be known. `"micro"` is TFLite Micro on
            microcontrollers: a free batch is fixed to 1, ops and formats are
            compared with those of one of its versions, and the file is run
            by it if the extra `micro` is installed. Defaults to `None`, the
            LiteRT interpreter.
        quantize: `"dynamic"` stores weights in 8 bits (a quarter of the
            size, no data needed), `"int8"` activations too, `"int16x8"`
            activations in 16 bits, `"float16"` halves the size. `"int4"` and
            `"int2"` store kernels that lie on the grid of `Quantization`
            callback or function without another rounding; kernels on finer
            grids get 4 or 8 bits. Defaults to `None`, float32.
        sparse: Whether to store the zeros of a pruned float model sparsely:
            the raw file shrinks, the speed stays. Defaults to `False`.
        calibration_data: Real inputs, 200 samples or more: an array, arrays
            in the order of the model's inputs, a dict by their names (in the
            model or in the file), `(x, y)`, an iterable of batches of these
            such as a `tf.data.Dataset`, or a function without arguments that
            returns one. Data that fit the inputs in no way, or in several,
            are refused, and so are NaN and infinity. Samples from all parts
            of the data are used: at most 256 calibrate, 1,024 others judge
            the file (256 if its batch is fixed). Required for `"int16x8"`, and
            for `"int8"` unless the model has trained activation ranges; every
            mode is verified on it. Defaults to `None`: verified on seeded
            random numbers in [0, 1), which say little about quantized files.
        quantized_io: Whether the inputs and outputs of an `"int8"` or
            `"int16x8"` file are integers too: `True` is int8 and int16,
            `"uint8"` is for runtimes that lack int8. Defaults to `False`.
        allow_select_tf_ops: Whether ops that LiteRT lacks may stay
            TensorFlow ops. Such a file requires the Flex delegate on the
            device and is not verified. Defaults to `False`.
        input_signature: `keras.InputSpec`s, batch axis included, to fix axes
            that the model leaves free: a list in the order of the inputs, a
            dict by their names, or one structure per positional argument.
            Defaults to `None`.
        converter: `"tensorflow"`, or `"litert_torch"` on the torch backend,
            which runs in this process, fixes a free batch to 1 and converts
            layers that only torch can compute. Defaults to `None`:
            TensorFlow, and litert-torch where TensorFlow is not installed.
        compact: Whether to drop what the runtime does not read: the names of
            inner tensors, recorded ranges and second copies of equal arrays.
            Outputs are equal bit for bit, which is checked. Defaults to
            `False`.
        overwrite: Whether to replace a file at `path`. Defaults to `False`.
        seed: Seed of random inputs and of chosen samples. Defaults to `0`.

    Returns:
        The report: sizes, differences, latency, ops, notes and warnings.

    Raises:
        ExportError: If the converter refuses the model, the model cannot be
            rebuilt in its process, the file does not run, its outputs
            differ, or the runtime of `target` would refuse it. It is a
            `ValueError`.
        ValueError: If an argument is out of range, the model is unbuilt, or
            kernels are off the grid of `"int4"` or `"int2"`.
        TypeError: If `model` or `path` has the wrong type.
        OSError: If the file cannot be written: `FileExistsError` if there
            is a file at `path` and `overwrite` is `False`.
        ImportError: If the converter or a LiteRT interpreter is not
            installed, or ai-edge-quantizer is not for `"int4"` and `"int2"`.
    """
    check_bool(compact, "compact")
    runtime = find_target(target)
    written = check_target(path, overwrite)
    check_quantization(
        quantize,
        sparse=sparse,
        calibration_data=calibration_data,
        quantized_io=quantized_io,
        has_ranges=has_trained_ranges(model, quantize),
    )
    if runtime is not None:
        runtime.check_arguments(
            quantize,
            quantized_io=quantized_io,
            sparse=sparse,
            allow_select_tf_ops=allow_select_tf_ops,
        )
    chosen = choose_converter(
        converter, sparse=sparse, allow_select_tf_ops=allow_select_tf_ops
    )
    if quantize in LOW_BITS:
        check_quantizer()
    exportable = prepare_model(
        model,
        input_signature=input_signature,
        fixed_for=find_fixing(chosen, target),
    )
    if runtime is not None:
        runtime.check_inputs(exportable)
    if quantize in LOW_BITS:
        check_grids(exportable.model, LOW_BITS[quantize])
    samples = split_samples(
        exportable,
        calibration_data,
        calibrate=quantize is not None and MODES[quantize].needs_data,
        seed=seed,
    )
    export = LitertWriter(exportable, samples, quantize, sparse, chosen)
    export.notes += [*exportable.notes, *samples.notes]
    export.warnings += [*exportable.warnings, *samples.warnings]
    if quantize is not None and (note := MODES[quantize].note):
        export.notes.append(note)
    if runtime is not None:
        export.target = target
        export.notes += runtime.mode_notes.get(quantize, [])
    if has_trained_ranges(model, quantize):
        check_converter(chosen)
        export.is_ranged = True
        export.is_calibrated = calibration_data is not None
    with (
        explain_quantized_layers(exportable.model),
        use_ranges(exportable.model, quantize),
        open_temporary_files(written) as (plain, final),
        ModelRuns(exportable, samples.verification) as runs,
    ):
        export.write(plain, final, quantized_io, allow_select_tf_ops)
        if compact:
            export.compact(final, runs)
        if runtime is not None:
            export.notes += runtime.check_file(final)
        export.verify(final, runs)
        if runtime is not None:
            export.run_in(runtime, final)
        put_in_place(final, written)
    for warning in export.warnings:
        warnings.warn(f"{written}: {warning}", stacklevel=2)
    return export.report(written)
