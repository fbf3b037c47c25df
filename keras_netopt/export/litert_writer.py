"""Converts, verifies and measures the file of one export."""

import contextlib
import functools
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field

import keras

from keras_netopt.cost.measure_latency import Latency, measure_latency
from keras_netopt.cost.tflite_model import TfliteModel, count_ops
from keras_netopt.export.compact_file import compact_file
from keras_netopt.export.convert_model import convert_model, measure_file
from keras_netopt.export.converter_choice import (
    LITERT_TORCH,
)
from keras_netopt.export.converter_process import ConverterProcess
from keras_netopt.export.embedding_scales import explain_wide_tables
from keras_netopt.export.export_error import ExportError
from keras_netopt.export.exportable_model import (
    ExportableModel,
)
from keras_netopt.export.file_breakdown import measure_breakdown
from keras_netopt.export.input_samples import iterate_batches
from keras_netopt.export.kept_process import find_kept_process
from keras_netopt.export.litert_report import FileSize, LitertReport
from keras_netopt.export.low_bit_quantizer import (
    LOW_BITS,
    write_low_bits,
)
from keras_netopt.export.micro_report import MicroReport
from keras_netopt.export.micro_target import describe_run
from keras_netopt.export.model_runs import ModelRuns
from keras_netopt.export.quantization_mode import MODES
from keras_netopt.export.runtime_target import RuntimeTarget
from keras_netopt.export.sample_split import SampleSplit
from keras_netopt.export.sparse_weights import explain_sparse_saving
from keras_netopt.export.stored_kernel import (
    StoredKernel,
    describe_kernels,
    explain_float_kernels,
)
from keras_netopt.export.torch_converter import convert_torch_model
from keras_netopt.export.trained_ranges import (
    TrainedRanges,
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


@dataclass
class LitertWriter:
    """One call of `to_litert`: its inputs and the results so far.

    Create it with the prepared model and samples, then call `write`,
    `compact` if wanted, `verify` and `report`.
    """

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
    target: str | None = None
    micro: MicroReport | None = None
    measures_float: bool = True  # Else no float file is written beside.

    @property
    def is_exact(self) -> bool:
        """Whether the file differs by rounding errors of float32 alone."""
        return self.quantize is None or MODES[self.quantize].is_exact

    def write(
        self, plain: str, final: str, quantized_io: bool | str, flex: bool
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
            converter: Callable[..., None] = (
                convert_torch_model if uses_torch else convert_model
            )
            convert = functools.partial(
                converter,
                exportable,
                folder=folder,
                process=process if rebuilds else None,
                allow_select_tf_ops=flex,
            )
            if self.measures_float or self.quantize in (None, *LOW_BITS):
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

    def run_in(self, runtime: RuntimeTarget, path: str) -> None:
        """Runs the file in the runtime itself, if that is possible here."""
        if runtime.run_file is not None:
            samples = self.samples
            self.micro = runtime.run_file(
                path, samples.verification, samples.source
            )
            notes, warnings = describe_run(self.micro)
            self.notes += notes
            self.warnings += warnings

    def report(self, path: str) -> LitertReport:
        lite, micro = TfliteModel(path), self.micro
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
            target=self.target,
            activation_bytes=micro.activation_bytes if micro else None,
            micro_run=micro.run if micro else None,
        )
