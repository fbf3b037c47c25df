"""A Keras model as a LiteRT file that is proved to compute the same."""

import contextlib
import errno
import os
import uuid
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from keras_netopt.cost.interpreter import TfliteModel, count_ops
from keras_netopt.cost.latency import Latency, measure_latency
from keras_netopt.export.convert import convert, file_size
from keras_netopt.export.preflight import (
    Prepared,
    check_backend,
    check_path,
    prepare,
)
from keras_netopt.export.quantize import MODES, check_mode
from keras_netopt.export.report import FileSize, LitertReport
from keras_netopt.export.samples import Arrays, batches, samples_of
from keras_netopt.export.verify import Verification, reference, verify


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
    seed: int = 0,
) -> LitertReport:
    """Writes a LiteRT file, runs it, and reports how it compares.

    The file is converted beside `path`, run by the LiteRT interpreter and
    compared with `model(x, training=False)` by the names in its signature.
    Only a file that passes is moved to `path`: after an error a file that was
    there before is still the old one. The model itself stays as it is.

    Needs the TensorFlow backend; load a model trained on another one there.
    Recurrent layers are exported with a fixed batch of 1, models in mixed
    precision from a float32 clone; the report says so.

    Example:

    >>> import keras
    >>> from keras_netopt.export import to_litert
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    >>> to_litert(model, "model.tflite", quantize="int8")
    Traceback (most recent call last):
        ...
    ValueError: Argument `calibration_data` must be given for \
quantize='int8'. Received: calibration_data=None. Pass about 100 samples \
of real input.

    Args:
        model: A built Keras model: Functional, Sequential or subclassed.
        path: Where to write, ending in `.tflite`; its folder must exist.
        quantize: `"dynamic"` stores weights in 8 bits (a quarter of the
            size, no data needed), `"int8"` activations too, `"int16x8"`
            activations in 16 bits, `"float16"` halves the size. Defaults to
            `None`, float32.
        sparse: Whether to store the zeros of a pruned float model sparsely:
            the raw file shrinks, the speed stays. Defaults to `False`.
        calibration_data: Real inputs, about 100 samples: arrays in the
            structure of the model's inputs, shape `(samples, ...)`, or an
            iterable of batches. Needed for `"int8"` and `"int16x8"`; used to
            verify in any mode, at most 256 samples. Defaults to `None`:
            verified on seeded random numbers in [0, 1).
        quantized_io: Whether the inputs and outputs of an `"int8"` or
            `"int16x8"` file are integers too. Defaults to `False`.
        allow_select_tf_ops: Whether ops that LiteRT lacks may stay
            TensorFlow ops. Such a file needs the Flex delegate on the device
            and cannot be verified here. Defaults to `False`.
        input_signature: One structure of `keras.InputSpec` a positional
            argument, batch axis included, to fix axes that the model leaves
            free. Defaults to `None`.
        seed: Seed of the random inputs. Defaults to `0`.

    Returns:
        The report: sizes, differences, latency, ops, notes and warnings.

    Raises:
        ExportError: If the converter refuses the model, or the file does not
            run or computes something else. It is a `ValueError`.
        ValueError: If an argument is out of range, the backend is not
            TensorFlow, or the model is unbuilt or quantised by Keras.
        TypeError: If `model` or `path` has the wrong type.
        OSError: If the file cannot be written.
        ImportError: If no LiteRT interpreter is installed.
    """
    target = check_path(path)
    check_mode(
        quantize,
        sparse=sparse,
        calibration_data=calibration_data,
        quantized_io=quantized_io,
    )
    check_backend()
    prepared = prepare(model, input_signature=input_signature)
    samples = samples_of(prepared, calibration_data, seed=seed)
    job = _Job(prepared, samples, quantize, sparse)
    job.notes += prepared.notes
    job.warnings += prepared.warnings
    with _scratch(target) as (plain, final):
        expected = reference(prepared, samples)
        job.write(plain, final, quantized_io, allow_select_tf_ops)
        job.check(final, expected)
        os.replace(final, target)
    for warning in job.warnings:
        warnings.warn(f"{target}: {warning}", stacklevel=2)
    return job.report(target)


@dataclass
class _Job:
    prepared: Prepared
    samples: Arrays
    quantize: str | None
    sparse: bool
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    ops: dict[str, int] = field(default_factory=dict)
    float_size: FileSize | None = None
    verification: Verification | None = None
    latency: Latency | None = None

    def write(
        self, plain: str, final: str, quantized_io: bool, flex: bool
    ) -> None:
        """Writes the float file, and the one asked for where it is another."""
        prepared, samples = self.prepared, self.samples
        convert(prepared, plain, allow_select_tf_ops=flex)
        self.float_size = file_size(plain)
        if self.quantize is not None:
            if note := MODES[self.quantize].note:
                self.notes.append(note)
            convert(
                prepared,
                final,
                quantize=self.quantize,
                samples=samples,
                quantized_io=quantized_io,
                allow_select_tf_ops=flex,
            )
            return
        if self.sparse:
            convert(prepared, final, sparse=True, allow_select_tf_ops=flex)
            self._keep_sparse_if_smaller(final)
        if not self.sparse:
            os.replace(plain, final)

    def _keep_sparse_if_smaller(self, final: str) -> None:
        share = _zero_share(self.prepared.model)
        self.sparse = file_size(final).raw < self.float_size.raw  # type: ignore[union-attr]
        if not self.sparse:
            self.warnings.append(
                f"`sparse=True` does not make this file smaller ({share:.0%} "
                "of its kernels are zeros); the plain file was written. Prune "
                "the model first."
            )
        elif share < 0.5:
            self.warnings.append(
                f"`sparse=True` saves little below 50 % zeros ({share:.0%} "
                "here). Prune further, or quantise."
            )

    def check(self, path: str, expected: list[Arrays]) -> None:
        """Proves the file right, or says that it could not be proved."""
        with open(path, "rb") as file:
            self.ops = count_ops(file.read())
        if flex := [name for name in self.ops if name.startswith("Flex")]:
            self.warnings.append(
                f"needs the Flex delegate for {', '.join(flex)}; not verified,"
                " for the LiteRT interpreter here has none."
            )
            return
        found = verify(
            self.prepared, path, self.samples, expected, self.quantize
        )
        self.verification = found
        if self.quantize is not None:
            limit = MODES[self.quantize].warn_above
            if found.max_rel_diff > limit:
                self.warnings.append(
                    f"outputs drift by {found.max_rel_diff:.2g} of their range"
                    f" ({limit:g} is usual for {self.quantize!r}). Measure the"
                    " accuracy of the file before you ship it."
                )
        first = next(batches(self.prepared, self.samples))
        self.latency = measure_latency({"file": path}, first)["file"]

    def report(self, path: str) -> LitertReport:
        lite = TfliteModel(path)
        size = file_size(path)
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
        )


def _zero_share(model: keras.Model) -> float:
    """The share of zeros in all weights with at least two axes."""
    kernels = [v for v in model.weights if len(v.shape) > 1]
    arrays = [v.numpy() for v in kernels]
    total = sum(array.size for array in arrays)
    nonzero = sum(int(np.count_nonzero(array)) for array in arrays)
    return 1 - nonzero / total if total else 0.0


@contextlib.contextmanager
def _scratch(target: str) -> Iterator[tuple[str, str]]:
    """Two names beside `target` for files that do not outlive the block."""
    if os.path.isdir(target):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), target)
    folder, name = os.path.split(target)
    stem = f".{name.removesuffix('.tflite')}.{uuid.uuid4().hex[:8]}"
    paths = [
        os.path.join(folder, f"{stem}.{part}.tflite")
        for part in ("plain", "final")
    ]
    # Whether the folder can be written to shows before the conversion.
    with open(paths[0], "xb"):
        pass
    try:
        yield paths[0], paths[1]
    finally:
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
