"""Writes the LiteRT files of a model and measures their bytes and time."""

import contextlib
import dataclasses
import os
import platform
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import keras

from keras_netopt.cost.measure_latency import measure_latency
from keras_netopt.cost.tflite_model import count_ops
from keras_netopt.graph.symbolic import assume_input_shape, input_specs
from keras_netopt.report import Report

FLOAT, DYNAMIC, SPARSE, HALVED = "float32", "dynamic", "sparse", "half"
INT4, INT8, FLOAT16 = "int4", "int8", "float16"
INTEGER_IO = "int8, integer inputs and outputs"
ROUNDS, MANY_ROUNDS = 30, 300
SHORT = 1.0  # Milliseconds: files that take less are timed for more rounds.
HALF = 0.5
MACHINES = {
    "x86_64": "x86",
    "amd64": "x86",
    "aarch64": "arm",
    "arm64": "arm",
}


@dataclass(frozen=True)
class MeasuredFile(Report):
    """One file of a model.

    Args:
        raw: Its bytes.
        gzip: Its bytes compressed by gzip at level 9.
        ops: Number of occurrences of each operator.
        milliseconds: Median time of one call on one thread; `None` if it was
            not timed. Defaults to `None`.
    """

    raw: int
    gzip: int
    ops: dict[str, int]
    milliseconds: float | None = None


@dataclass(frozen=True)
class MeasuredFiles(Report):
    """The files of a model, timed in one loop.

    Args:
        forms: The files by form: "float32", "dynamic" (int8 weights),
            "sparse", "half" (float32 with half of the channels), "int4",
            "int8" (activations too), "float16", and "int8, integer inputs
            and outputs" (compact, with a fixed batch).
        errors: Why the file of a form could not be written or timed.
        clock: What was timed, as text; `""` if nothing was.
        inspection: What the rules of a target found in a file. Defaults to
            `None`.
    """

    forms: dict[str, MeasuredFile]
    errors: dict[str, str] = field(default_factory=dict)
    clock: str = ""
    inspection: Any = None

    def milliseconds(self, form: str) -> float | None:
        """Returns the time of a form, `None` if it was not measured."""
        found = self.forms.get(form)
        return None if found is None else found.milliseconds

    def ratio(self, form: str) -> float | None:
        """Returns the time of a form over that of the float32 file."""
        one, plain = self.milliseconds(form), self.milliseconds(FLOAT)
        return one / plain if one and plain else None


def host_target() -> str:
    """Returns the target that this machine is: "x86", "arm" or ""."""
    return MACHINES.get(platform.machine().lower(), "")


def measure_model(
    model: keras.Model,
    forms: tuple[str, ...],
    *,
    timed: bool,
    input_shape: Any = None,
    tell: Callable[[str], None] = lambda text: None,
    inspect: Callable[[str], Any] | None = None,
) -> MeasuredFiles:
    """Writes files of a model in some forms, into a folder that is removed.

    A form that cannot be written is in `errors`; nothing else is raised. The
    files are not compared with the model.

    Args:
        model: A built model; it is not modified.
        forms: The forms, see `MeasuredFiles`.
        timed: Whether the files are timed.
        input_shape: Shapes that fix free axes. Defaults to `None`.
        tell: Called with what is done next. Defaults to nothing.
        inspect: Called with the path of the last form, before it is removed.
            Defaults to `None`.
    """
    from keras_netopt.export.kept_process import keep_process

    errors: dict[str, str] = {}
    paths: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder, keep_process():
        # float32 is written on the way to most others.
        for form in sorted(forms, key=lambda one: one == FLOAT):
            if form in paths:
                continue
            tell(f"writing the {form} file")
            with _collect_error(errors, form), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                paths |= _write(model, form, folder, input_shape)
        paths = {form: paths[form] for form in forms if form in paths}
        found = {form: _measure_bytes(path) for form, path in paths.items()}
        inspection = None
        if inspect is not None and forms[-1] in paths:
            with _collect_error(errors, "inspection"):
                inspection = inspect(paths[forms[-1]])
        clock = ""
        if timed and paths:
            tell(f"timing {len(paths)} files")
            with _collect_error(errors, "latency"):
                found, clock = _time(found, paths)
    return MeasuredFiles(found, errors, clock, inspection)


def measure_file(
    path: str, timed: bool, inspect: Callable[[str], Any] | None
) -> MeasuredFiles:
    """Times and inspects a file, as far as is asked for and it runs."""
    errors: dict[str, str] = {}
    found, clock = {"file": _measure_bytes(path)}, ""
    inspection = None
    if inspect is not None:
        with _collect_error(errors, "inspection"):
            inspection = inspect(path)
    if timed:
        with _collect_error(errors, "latency"):
            found, clock = _time(found, {"file": path})
    return MeasuredFiles(found, errors, clock, inspection)


@contextlib.contextmanager
def _collect_error(errors: dict[str, str], name: str) -> Iterator[None]:
    """Keeps the text of an error of the converter or the interpreter."""
    try:
        yield
    except (ValueError, TypeError, RuntimeError, OSError, ImportError) as error:
        errors[name] = str(error).strip().replace("\n", " ")


def _time(
    found: dict[str, MeasuredFile], paths: dict[str, str]
) -> tuple[dict[str, MeasuredFile], str]:
    rounds = ROUNDS
    report = measure_latency(paths, rounds=rounds)
    if max(one.median for one in report.latencies) < SHORT:
        rounds = MANY_ROUNDS
        report = measure_latency(paths, rounds=rounds)
    timed = {
        form: dataclasses.replace(one, milliseconds=report[form].median)
        for form, one in found.items()
    }
    return timed, (
        f"median of {rounds} calls in turn, one thread, {platform.machine()}"
    )


def _measure_bytes(path: str) -> MeasuredFile:
    from keras_netopt.export.convert_model import measure_file

    size = measure_file(path)
    with open(path, "rb") as file:
        return MeasuredFile(size.raw, size.gzip, count_ops(file.read()))


def _write(
    model: keras.Model, form: str, folder: str, input_shape: Any
) -> dict[str, str]:
    """Writes a form, and the float32 file that is written on the way."""
    if form == HALVED:
        from keras_netopt.surgery.cutting.prune_channels import prune_channels
        from keras_netopt.surgery.edits.rehearsal import temporary_copy

        with (
            temporary_copy(model) as copy,
            assume_input_shape(copy, input_shape),
        ):
            prune_channels(copy, HALF)
            path = _convert(copy, form, None, folder, input_shape)[form]
            return {form: path}
    quantize = None if form in (FLOAT, SPARSE) else form.partition(",")[0]
    return _convert(model, form, quantize, folder, input_shape)


def _convert(
    model: keras.Model,
    form: str,
    quantize: str | None,
    folder: str,
    input_shape: Any,
) -> dict[str, str]:
    from keras_netopt.export.unverified_file import write_unverified

    path = os.path.join(folder, f"{form}.tflite")
    write_unverified(
        model,
        path,
        quantize,
        sparse=form == SPARSE,
        compact=form == INTEGER_IO,
        quantized_io=form == INTEGER_IO,
        input_signature=_signature(model, input_shape),
        fixed_for=form if form == INTEGER_IO else None,
        keep_float=True,
    )
    if quantize is not None:
        return {form: path, FLOAT: f"{path}.float"}
    return {form: path}


def _signature(model: keras.Model, input_shape: Any) -> Any:
    if input_shape is None:
        return None
    specs = input_specs(model, input_shape=input_shape)
    return keras.tree.map_structure(
        lambda one: keras.InputSpec(
            # A structure of shapes is by input, the batch stays free.
            shape=(1, *one.shape[1:]),
            dtype=one.dtype,
            name=one.name,
        ),
        specs,
    )
