"""Writes a Keras model to a LiteRT file and verifies the file."""

import contextlib
import functools
import os
import tempfile
import warnings
from dataclasses import dataclass, field
from typing import Any

import keras

from keras_netopt.checks import check_bool
from keras_netopt.cost.measure_latency import Latency, measure_latency
from keras_netopt.cost.tflite_model import TfliteModel, count_ops
from keras_netopt.export.compact_file import compact_file
from keras_netopt.export.convert_model import convert_model, measure_file
from keras_netopt.export.converter_choice import (
    LITERT_TORCH,
    choose_converter,
)
from keras_netopt.export.converter_process import ConverterProcess
from keras_netopt.export.embedding_scales import explain_wide_tables
from keras_netopt.export.export_error import ExportError
from keras_netopt.export.exportable_model import (
    ExportableModel,
    prepare_model,
)
from keras_netopt.export.file_breakdown import measure_breakdown
from keras_netopt.export.input_samples import iterate_batches
from keras_netopt.export.kept_process import find_kept_process
from keras_netopt.export.keras_quantization import explain_quantized_layers
from keras_netopt.export.litert_report import FileSize, LitertReport
from keras_netopt.export.low_bit_quantizer import (
    LOW_BITS,
    check_grids,
    check_quantizer,
    write_low_bits,
)
from keras_netopt.export.model_runs import ModelRuns
from keras_netopt.export.output_files import (
    check_target,
    open_temporary_files,
)
from keras_netopt.export.quantization_mode import MODES, check_quantization
from keras_netopt.export.sample_split import SampleSplit, split_samples
from keras_netopt.export.sparse_weights import explain_sparse_saving
from keras_netopt.export.stored_kernel import (
    StoredKernel,
    describe_kernels,
    explain_float_kernels,
)
from keras_netopt.export.torch_converter import convert_torch_model
from keras_netopt.export.trained_ranges import (
    TrainedRanges,
    check_converter,
    has_trained_ranges,
    match_ranges,
    use_ranges,
)
from keras_netopt.export.unquantized_weights import explain_no_saving
from keras_netopt.export.verification import (
    Verification,
    describe_randomness,
    find_differences,
    repeats_itself,
    verify_file,
)


def to_litert(
    model: keras.Model,
    path: str | os.PathLike[str],
    *,
    quantize: str | None = None,
    sparse: bool = False,
    calibration_data: Any = None,
    quantized_io: bool = False,
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
input or more.

    Args:
        model: A built Keras model: Functional, Sequential or subclassed.
        path: The file to write, ending in `.tflite`; its folder must exist.
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
            `"int16x8"` file are integers too. Defaults to `False`.
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
            rebuilt in its process, the file does not run, or its outputs
            differ. It is a `ValueError`.
        ValueError: If an argument is out of range, the model is unbuilt, or
            kernels are off the grid of `"int4"` or `"int2"`.
        TypeError: If `model` or `path` has the wrong type.
        OSError: If the file cannot be written: `FileExistsError` if there
            is a file at `path` and `overwrite` is `False`.
        ImportError: If the converter or a LiteRT interpreter is not
            installed, or ai-edge-quantizer is not for `"int4"` and `"int2"`.
    """
    check_bool(compact, "compact")
    target = check_target(path, overwrite)
    check_quantization(
        quantize,
        sparse=sparse,
        calibration_data=calibration_data,
        quantized_io=quantized_io,
        has_ranges=has_trained_ranges(model, quantize),
    )
    chosen = choose_converter(
        converter, sparse=sparse, allow_select_tf_ops=allow_select_tf_ops
    )
    if quantize in LOW_BITS:
        check_quantizer()
    exportable = prepare_model(
        model,
        input_signature=input_signature,
        fixes_axes=chosen == LITERT_TORCH,
    )
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
    if has_trained_ranges(model, quantize):
        check_converter(chosen)
        export.is_ranged = True
        export.is_calibrated = calibration_data is not None
    with (
        explain_quantized_layers(exportable.model),
        use_ranges(exportable.model, quantize),
        open_temporary_files(target) as (plain, final),
        ModelRuns(exportable, samples.verification) as runs,
    ):
        export.write(plain, final, quantized_io, allow_select_tf_ops)
        if compact:
            export.compact(final, runs)
        export.verify(final, runs)
        os.replace(final, target)
    for warning in export.warnings:
        warnings.warn(f"{target}: {warning}", stacklevel=2)
    return export.report(target)


@dataclass
class LitertWriter:
    """One call of `to_litert`: its inputs and the results so far."""

    exportable: ExportableModel
    samples: SampleSplit
    quantize: str | None
    sparse: bool
    converter: str
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    ops: dict[str, int] = field(default_factory=dict)
    float_size: FileSize | None = None
    verification: Verification | None = None
    latency: Latency | None = None
    kernels: tuple[StoredKernel, ...] = ()
    is_ranged: bool = False
    is_calibrated: bool = True
    trained_ranges: TrainedRanges | None = None

    @property
    def is_exact(self) -> bool:
        """Whether the file differs by rounding errors of float32 alone."""
        return self.quantize is None or MODES[self.quantize].is_exact

    def write(
        self, plain: str, final: str, quantized_io: bool, flex: bool
    ) -> None:
        """Writes the float file, then the requested one if it differs."""
        exportable = self.exportable
        with contextlib.ExitStack() as stack:
            process = None
            uses_torch = self.converter == LITERT_TORCH
            rebuilds = keras.backend.backend() != "tensorflow"
            calibrates = self.is_calibrated and (
                self.quantize is not None and MODES[self.quantize].needs_data
            )
            if not uses_torch and (rebuilds or calibrates):
                process = stack.enter_context(
                    find_kept_process(rebuilds) or ConverterProcess(rebuilds)
                )
            folder, ranged_folder = (
                stack.enter_context(tempfile.TemporaryDirectory())
                for _ in range(2)
            )
            convert = functools.partial(
                convert_torch_model if uses_torch else convert_model,
                exportable,
                folder=folder,
                process=process if rebuilds else None,
                allow_select_tf_ops=flex,
            )
            with use_ranges(exportable.model, None):
                convert(plain)
            self.float_size = measure_file(plain)
            if self.quantize in LOW_BITS:
                write_low_bits(plain, final, LOW_BITS[self.quantize])
                return
            if self.quantize is not None:
                convert(
                    final,
                    folder=ranged_folder if self.is_ranged else folder,
                    quantize=self.quantize,
                    samples=self.samples.calibration if calibrates else None,
                    process=process,
                    quantized_io=quantized_io,
                )
                return
            if self.sparse:
                convert(final, sparse=True)
                self._keep_sparse_if_smaller(final)
        if not self.sparse:
            os.replace(plain, final)

    def _keep_sparse_if_smaller(self, final: str) -> None:
        self.sparse = measure_file(final).raw < self.float_size.raw  # type: ignore[union-attr]
        self.warnings += explain_sparse_saving(
            self.exportable.model, self.sparse
        )

    def compact(self, path: str, runs: ModelRuns) -> None:
        """Drops from the file what the runtime does not read."""
        with open(path, "rb") as file:
            ops = count_ops(file.read())
        flex = any(name.startswith("Flex") for name in ops)
        run = not flex and not runs.randomness
        checked = self.samples.verification
        note = compact_file(path, self.exportable, checked, run=run)
        self.notes.append(note)

    def verify(self, path: str, runs: ModelRuns) -> None:
        """Verifies and times the file, or warns that it cannot be run."""
        with open(path, "rb") as file:
            content = file.read()
        self.ops, exportable = count_ops(content), self.exportable
        if self.is_ranged:
            ranges = match_ranges(self.exportable.model, path)
            self.trained_ranges = ranges
            self.warnings += ranges.warnings
        self.kernels = describe_kernels(
            exportable.model, content, self.quantize
        )
        if self.quantize is not None and self.float_size is not None:
            ratio = len(content) / self.float_size.raw
            if self.quantize == "dynamic":
                self.warnings += explain_wide_tables(exportable.model, content)
                self.warnings += explain_no_saving(content, ratio)
            elif self.quantize in LOW_BITS:
                self.warnings += explain_float_kernels(
                    self.kernels, self.quantize, ratio
                )
        checked = self.samples.verification
        first = next(iterate_batches(exportable, checked))
        if flex := [name for name in self.ops if name.startswith("Flex")]:
            self.warnings.append(
                f"requires the Flex delegate for {', '.join(flex)}; not "
                "verified, because the LiteRT interpreter here has none."
            )
            if runs.randomness:
                self.warnings.append(f"{describe_randomness(runs.randomness)}.")
            return
        try:
            found = self._compare(path, runs)
        except ExportError:
            # More samples may show that the model is random, or how much.
            if not runs.repeat_all():
                raise
            found = self._compare(path, runs)
        self.verification = found
        if found.randomness:
            self._warn_of_randomness(path, found.randomness)
        elif self.quantize is not None and not self.is_exact:
            if warning := find_differences(found, self.quantize):
                self.warnings.append(warning)
        self.latency = measure_latency({"file": path}, first)["file"]

    def _compare(self, path: str, runs: ModelRuns) -> Verification:
        return verify_file(
            self.exportable,
            path,
            self.samples.verification,
            runs.expected,
            None if self.is_exact else self.quantize,
            runs.noise,
            self.samples.source,
        )

    def _warn_of_randomness(self, path: str, randomness: float) -> None:
        text = (
            f"{describe_randomness(randomness)}; the file was compared within "
            "that range."
        )
        if repeats_itself(self.exportable, path, self.samples.verification):
            text += " The file repeats one draw of the random numbers."
        self.warnings.append(text)

    def report(self, path: str) -> LitertReport:
        lite = TfliteModel(path)
        size = measure_file(path)
        with open(path, "rb") as file:
            breakdown = measure_breakdown(file.read())
        return LitertReport(
            path=path,
            quantize=self.quantize,
            sparse=self.sparse,
            size=size,
            float_size=self.float_size or size,
            verification=self.verification,
            latency=self.latency,
            ops=self.ops,
            inputs=tuple(lite.inputs.values()),
            outputs=tuple(lite.outputs.values()),
            notes=tuple(self.notes),
            warnings=tuple(self.warnings),
            breakdown=breakdown,
            kernels=self.kernels,
            trained_ranges=self.trained_ranges,
        )
