"""What TFLite Micro needs for a LiteRT file, and whether it runs it."""

import os
from collections import Counter
from dataclasses import dataclass
from typing import Any

from keras_netopt.cost.tflite_model import TensorInfo
from keras_netopt.export.file_report import read_file
from keras_netopt.export.litert_report import list_tensors
from keras_netopt.export.micro.arena_plan import plan_activations
from keras_netopt.export.micro.file_graph import FileGraph
from keras_netopt.export.micro.find_problems import (
    find_missing_ops,
    find_notes,
    find_problems,
)
from keras_netopt.export.micro.make_feeds import (
    explain_no_feeds,
    make_feeds,
)
from keras_netopt.export.micro.micro_run import NOT_MADE, RAN, MicroRun
from keras_netopt.export.micro.micro_runtime import load_runtime
from keras_netopt.export.micro.read_graph import read_graph
from keras_netopt.export.micro.run_file import run_file
from keras_netopt.report import Report
from keras_netopt.tables import render


@dataclass(frozen=True)
class MicroReport(Report):
    """What TensorFlow Lite Micro needs for a LiteRT file.

    Example:

    >>> run = MicroRun("not made", "tflite-micro is not installed")
    >>> report = MicroReport("m.tflite", "0.dev1", {"ADD": 1}, run)
    >>> report.can_run
    True

    Args:
        path: The file.
        runtime: The version of the PyPI package `tflite-micro` whose ops
            were compared.
        ops: Number of occurrences of each operator.
        run: The run in the runtime itself.
        missing_ops: The ops that this version lacks.
        problems: What it refuses, with remedies.
        notes: What it reads otherwise than LiteRT does.
        inputs: Name, shape, dtype, scale and zero point of each input.
        outputs: The same of each output.
        file_bytes: Bytes of the file: flash memory.
        weight_bytes: Bytes of its constants, a part of these.
        activation_bytes: Bytes of working memory for activations and scratch
            memory, by a greedy plan; structs per tensor, op and channel come
            on top. `None` where it cannot be planned.
    """

    path: str
    runtime: str
    ops: dict[str, int]
    run: MicroRun
    missing_ops: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    inputs: tuple[TensorInfo, ...] = ()
    outputs: tuple[TensorInfo, ...] = ()
    file_bytes: int = 0
    weight_bytes: int = 0
    activation_bytes: int | None = None

    @property
    def can_run(self) -> bool:
        """Whether nothing stands against the file.

        Only `run` proves it: an op may refuse a dtype.
        """
        return not self.problems and not self.run.has_failed

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields and the derived values, JSON-safe."""
        return {**super().to_dict(), "can_run": self.can_run}

    def _verdict(self) -> str:
        if not self.can_run:
            return "no"
        return "yes" if self.run.status == RAN else "nothing found against it"

    def __str__(self) -> str:
        activations = "not planned"
        if self.activation_bytes is not None:
            activations = f"{self.activation_bytes:,} (plan), plus structs"
        count = f"{sum(self.ops.values())} ops of {len(self.ops)} kinds"
        rows = [
            ["runs", self._verdict()],
            ["flash bytes", f"{self.file_bytes:,}"],
            ["weights", f"{self.weight_bytes:,}"],
            ["RAM bytes", activations],
            ["ops", count],
            ["inputs", list_tensors(self.inputs)],
            ["outputs", list_tensors(self.outputs)],
            ["run", str(self.run)],
        ]
        rows += [["problem", one] for one in self.problems]
        rows += [["note", one] for one in self.notes]
        rows.append(["compared with", f"tflite-micro {self.runtime}"])
        return render(["TFLite Micro", self.path], rows)


def micro_report(
    path: str | os.PathLike[str], *, data: Any = None, seed: int = 0
) -> MicroReport:
    """Checks a LiteRT file for microcontrollers with TFLite Micro.

    The file is read without a runtime: its ops are compared with those of one
    version of TFLite Micro, and the memory for activations is planned as that
    version plans it. If the package `tflite-micro` is installed (extra
    `micro`; Linux, Python 3.11 or 3.12), the file is then run by TFLite Micro
    in a child process and compared with LiteRT. Works on every backend.

    Example:

    >>> from keras_netopt import export
    >>> export.micro_report("model.tflite")
    Traceback (most recent call last):
        ...
    FileNotFoundError: [Errno 2] No such file or directory: 'model.tflite'

    Args:
        path: A `.tflite` file of any origin.
        data: Inputs for the run: an array of shape `(samples, ...)`, or a
            dict of arrays by the names of the inputs; real numbers are
            quantized for integer inputs. 16 samples that are spread over
            them are run, fewer if they take more than 20 seconds. Defaults
            to `None`: random numbers in [0, 1).
        seed: Seed of random inputs and of the choice of samples. Defaults to
            `0`.

    Returns:
        The report. A file that the runtime refuses, or that ends its process,
        is a report with the reason.

    Raises:
        ValueError: If it is no LiteRT file, is damaged, or `data` do not fit.
        TypeError: If `path` is no path.
        OSError: If the file cannot be read.
        ImportError: If no LiteRT package is installed.

    Reference:
        David et al., "TensorFlow Lite Micro: Embedded Machine Learning on
        TinyML Systems", arXiv 2010.08678.
    """
    content = read_file(path)
    text = os.fspath(path)
    try:
        file = read_graph(content)
    except ValueError as error:
        raise ValueError(
            "Argument `path` must be a LiteRT file that is whole. "
            f"Received: path={text!r}: {error}. Copy or export it again"
        ) from error
    return check_file(text, content, file, data, seed)


def check_file(
    path: str, content: bytes, file: FileGraph, data: Any = None, seed: int = 0
) -> MicroReport:
    """Makes the report of a file that was read."""
    graph = file.graphs[0]
    planned = plan_activations(file)
    counts = Counter(op.name for one in file.graphs for op in one.operators)
    inputs, outputs = (
        tuple(graph.tensors[tensor].info(name) for name, tensor in side.items())
        for side in (file.inputs, file.outputs)
    )
    if problem := explain_no_feeds(file, planned):
        run = MicroRun(NOT_MADE, problem)
    else:
        feeds = make_feeds(file, data, seed)
        source = "random" if data is None else "given"
        run = run_file(path, file, feeds, source=source, planned=planned)
    return MicroReport(
        path,
        load_runtime().version,
        dict(sorted(counts.items())),
        run,
        missing_ops=find_missing_ops(file),
        problems=find_problems(file),
        notes=find_notes(file),
        inputs=inputs,
        outputs=outputs,
        file_bytes=len(content),
        weight_bytes=file.constant_bytes,
        activation_bytes=planned,
    )
