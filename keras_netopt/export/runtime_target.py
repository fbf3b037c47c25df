"""What the runtimes that `target=` names take."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from keras_netopt.export.export_error import ExportError
from keras_netopt.export.exportable_model import ExportableModel
from keras_netopt.export.file_report import FileReport, inspect_file
from keras_netopt.export.input_samples import Samples
from keras_netopt.export.micro_report import MicroReport
from keras_netopt.export.micro_target import (
    DTYPES,
    FLOAT_NOTE,
    REFUSED_MODES,
    REFUSES_SPARSE,
    list_problems,
    run_for_target,
)
from keras_netopt.export.quantization_mode import MODES, find_io_dtype


def _no_notes(content: bytes) -> list[str]:
    del content
    return []


@dataclass(frozen=True)
class RuntimeTarget:
    """One runtime other than the LiteRT interpreter, and what it refuses.

    Every target has a fixed batch and no Flex ops.

    Args:
        name: The value of `target=`.
        runtime: The name of the runtime in messages.
        io_dtypes: Dtypes of inputs and outputs that it takes.
        refused_modes: Values of `quantize=` that it does not take, each with
            the reason; `None` stands for float32.
        refuses_sparse: Why it takes no sparse files, or "".
        mode_notes: Notes for the report, by value of `quantize=`.
        find_problems: Returns what else is wrong with the bytes of a file,
            each problem with its remedy.
        describe_file: Returns notes about the bytes of a file.
        run_file: Runs a file with samples and their source;
            `None` for a runtime that does not run here.
    """

    name: str
    runtime: str
    io_dtypes: tuple[str, ...]
    refused_modes: Mapping[Any, str] = field(default_factory=dict)
    refuses_sparse: str = ""
    mode_notes: Mapping[str | None, list[str]] = field(default_factory=dict)
    find_problems: Callable[[bytes], list[str]] = _no_notes
    describe_file: Callable[[bytes], list[str]] = _no_notes
    run_file: Callable[[str, Samples, str], MicroReport] | None = None

    def check_arguments(
        self,
        quantize: str | None,
        *,
        quantized_io: bool | str = False,
        sparse: bool = False,
        allow_select_tf_ops: bool = False,
    ) -> None:
        """Refuses arguments of `to_litert` that give no file for the runtime.

        They are valid without a target.
        """
        if quantize in self.refused_modes:
            modes = [m for m in (None, *MODES) if m not in self.refused_modes]
            raise ValueError(
                f"Argument `quantize` must be {_join(map(repr, modes))} for "
                f"target={self.name!r}: {self.refused_modes[quantize]}. "
                f"Received: quantize={quantize!r}"
            )
        if sparse and self.refuses_sparse:
            raise ValueError(
                f"Argument `sparse` must be False for target={self.name!r}: "
                f"{self.refuses_sparse}. Received: sparse=True"
            )
        if allow_select_tf_ops:
            raise ValueError(
                "Argument `allow_select_tf_ops` must be False for "
                f"target={self.name!r}: {self.runtime} has no Flex delegate. "
                "Received: allow_select_tf_ops=True"
            )
        if not self._takes(quantize, quantized_io):
            values = [
                value
                for value in (False, "int8", "uint8")
                if (quantize == "int8" or value is False)
                and self._takes(quantize, value)
            ]
            raise ValueError(
                f"Argument `quantized_io` must be {_join(map(repr, values))} "
                f"for quantize={quantize!r} and target={self.name!r}: "
                f"{self.runtime} takes {_join(self.io_dtypes)} as inputs and "
                f"outputs. Received: quantized_io={quantized_io!r}, which is "
                f"{find_io_dtype(quantize, quantized_io)}. Pass "
                f"`quantized_io={values[-1]!r}`."
            )

    def check_inputs(self, exportable: ExportableModel) -> None:
        """Refuses a model with inputs of a dtype that the runtime lacks."""
        problems = [
            self._explain_dtype("input", name, str(spec.dtype))
            for name, spec in exportable.specs.items()
            if spec.dtype not in self.io_dtypes
        ]
        if problems:
            raise ValueError(
                f"Argument `model` must have inputs of {_join(self.io_dtypes)} "
                f"for target={self.name!r}. Received: {'; '.join(problems)}"
            )

    def check_file(self, path: str) -> list[str]:
        """Returns notes about a written file.

        Raises:
            ExportError: If the runtime would refuse it; all reasons are
                listed.
        """
        report = inspect_file(path)
        with open(path, "rb") as file:
            content = file.read()
        problems = [*self._check_io(report), *self.find_problems(content)]
        if flex := [name for name in report.ops if name.startswith("Flex")]:
            problems.append(
                f"the ops {', '.join(flex)} require the Flex delegate, which "
                "it lacks: replace the ops"
            )
        if problems:
            raise ExportError(
                f"{self.runtime} does not take the file (target="
                f"{self.name!r}): {'; '.join(problems)}. Nothing was written."
            )
        return self.describe_file(content)

    def _takes(self, quantize: str | None, quantized_io: bool | str) -> bool:
        return find_io_dtype(quantize, quantized_io) in (None, *self.io_dtypes)

    def _check_io(self, report: FileReport) -> list[str]:
        problems = []
        for side, infos in (
            ("input", report.inputs),
            ("output", report.outputs),
        ):
            for info in infos:
                if info.dtype not in self.io_dtypes:
                    problems.append(
                        self._explain_dtype(side, info.name, info.dtype)
                    )
        # Outputs may have free axes: LiteRT.js runs such files.
        problems += [
            f"input {info.name!r} has free axes, shape {info.shape}: fix them "
            "with `input_signature`"
            for info in report.inputs
            if None in info.shape
        ]
        return problems

    def _explain_dtype(self, side: str, name: str, dtype: str) -> str:
        kind = "float32" if "float" in dtype else "int32"
        remedy = (
            f"build the model with `keras.Input(..., dtype={kind!r})`"
            if side == "input"
            else f"return `keras.ops.cast(x, {kind!r})`"
        )
        return f"{side} {name!r} is {dtype}: {remedy}"


SIZE_NOTES = [
    "in a browser int8 is first for the size of the download: calls took 0.55 "
    "to 1.3 of the time of float32"
]
TARGETS: dict[str, RuntimeTarget] = {
    target.name: target
    for target in (
        RuntimeTarget(
            "web",
            "LiteRT.js",
            io_dtypes=("float32", "int32", "uint8"),
            mode_notes={"dynamic": SIZE_NOTES, "int8": SIZE_NOTES},
        ),
        RuntimeTarget(
            "micro",
            "TFLite Micro",
            io_dtypes=DTYPES,
            refused_modes=REFUSED_MODES,
            refuses_sparse=REFUSES_SPARSE,
            mode_notes={None: [FLOAT_NOTE]},
            find_problems=list_problems,
            run_file=run_for_target,
        ),
    )
}


def find_target(target: str | None) -> RuntimeTarget | None:
    """Returns the row of a value of `target=`; `None` for `None`."""
    if target is None:
        return None
    if not isinstance(target, str) or target not in TARGETS:
        raise ValueError(
            f"Argument `target` must be {_join(map(repr, (None, *TARGETS)))}. "
            f"Received: target={target!r}"
        )
    return TARGETS[target]


def _join(values: object) -> str:
    *first, last = map(str, values)  # type: ignore[call-overload]
    return f"{', '.join(first)} or {last}" if first else last
