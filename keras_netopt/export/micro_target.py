"""What `to_litert(target="micro")` checks: files for TFLite Micro."""

from dataclasses import replace

from keras_netopt.export.export_error import ExportError
from keras_netopt.export.input_samples import Samples
from keras_netopt.export.micro.find_problems import SPARSE, find_problems
from keras_netopt.export.micro.micro_runtime import NAME
from keras_netopt.export.micro.read_graph import read_graph
from keras_netopt.export.micro_report import MicroReport, micro_report
from keras_netopt.export.sample_split import RANDOM

MAX_RELATIVE = {True: 1e-3, False: 0.5}  # By whether outputs are computed
# in floats; of the largest output.
USUAL = 0.05  # Of the largest output; above it a warning is given.
ADVICE = "pass `quantize='int8'`"
DTYPES = ("float32", "int8", "uint8", "int16", "int32", "bool")
REFUSED_MODES: dict[str | None, str] = {
    "dynamic": f"it has no hybrid kernels, which multiply floats by integers, "
    f"{ADVICE}",
    "float16": f"it does not decode float16 weights, {ADVICE}",
    "int4": f"it does not decode the weights of this mode, {ADVICE}",
    "int2": f"it has no tensors of 2 bits, {ADVICE}",
}
REFUSES_SPARSE = f"it lacks the op DENSIFY. {SPARSE}"
FLOAT_NOTE = (
    "`quantize='int8'` with `quantized_io=True` needs a quarter to a third of "
    "the flash and a quarter of the working memory"
)


def list_problems(content: bytes) -> list[str]:
    """Returns what the runtime refuses in the bytes of a file."""
    found = find_problems(read_graph(content))
    # Every target tells of these.
    return [one for one in found if not one.startswith("Flex")]


def run_for_target(path: str, samples: Samples, source: str) -> MicroReport:
    """Runs a written file in the runtime, where it is installed.

    Args:
        path: The file.
        samples: Inputs of the file by name.
        source: Where they come from, as in `SampleSplit`.

    Returns:
        The report.

    Raises:
        ExportError: If the runtime refuses the file, ends its process or
            computes something else than LiteRT.
    """
    report = micro_report(path, data=samples[0])
    run = report.run
    if run.has_failed:
        raise ExportError(
            f"{NAME} does not run the file (target='micro'): {run.reason}. "
            "Replace the layer of this op, or export without `target`. "
            "Nothing was written."
        )
    for one in run.outputs:
        limit = MAX_RELATIVE[one.quantum is None]
        if not one.max_rel_diff <= limit:
            raise ExportError(
                f"{NAME} computes something else than LiteRT (target='micro'): "
                f"output {one.name!r} differs by {one.max_abs_diff:.3g}, "
                f"{one.max_rel_diff:.2g} x its largest value; {limit:g} x is "
                "allowed. Export without `target`. Nothing was written."
            )
    if source == RANDOM:
        run = replace(run, source="random")
    return replace(report, run=run)


def describe_run(report: MicroReport) -> tuple[list[str], list[str]]:
    """Returns notes and warnings about the run."""
    notes, warnings = list(report.notes), []
    if report.run.reason is not None:
        notes.append(f"not run in {NAME}: {report.run.reason}")
    for one in report.run.outputs:
        if one.max_rel_diff > USUAL:
            warnings.append(
                f"{NAME} differs from LiteRT by {one}, "
                f"{one.max_rel_diff:.2g} x the largest value of the output. "
                "Measure the accuracy on the device before you ship it."
            )
    return notes, warnings
