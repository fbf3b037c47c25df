"""Rules about models on microcontrollers (TensorFlow Lite Micro).

What the runtime takes, and the memory it needs, is read from the file by
`export.micro_report`; no time is measured.
"""

import math
from typing import Any

from keras_netopt.advice import any_target, layer_rules, sources
from keras_netopt.advice.any_target import TRAIN, Findings
from keras_netopt.advice.file_subject import FileSubject
from keras_netopt.advice.finding import (
    CAUTION,
    DOCUMENTED,
    MEASURED,
    PROBLEM,
    UNKNOWN,
    UNSEEN,
    Finding,
)
from keras_netopt.advice.measured_files import INTEGER_IO
from keras_netopt.advice.model_subject import ModelSubject
from keras_netopt.advice.x86 import MANY_ZEROS

# The layers behind it are named if the activations take more.
MUCH_MEMORY = 64_000
MICRO_FILE = (
    'netopt.export.to_litert(model, "model.tflite", target="micro", '
    'quantize="int8", quantized_io=True, compact=True, calibration_data=x)'
)
INSTALL = 'pip install "keras-netopt[micro]"'
Subject = ModelSubject | FileSubject


def forms(subject: ModelSubject) -> tuple[str, ...]:
    """The files to measure."""
    return (INTEGER_IO,)


def inspect(path: str) -> Any:
    """Checks a file for TensorFlow Lite Micro."""
    from keras_netopt import export

    return export.micro_report(path)


def _report(subject: Subject) -> Any:
    return None if subject.files is None else subject.files.inspection


def repair_file(subject: Subject) -> Findings:
    """Ops and formats that the runtime refuses."""
    report = _report(subject)
    if report is None or not report.problems:
        return
    yield Finding(
        what="Change what TensorFlow Lite Micro refuses.",
        why="; ".join(report.problems),
        effect="The file does not run on a microcontroller otherwise.",
        evidence=MEASURED,
        source=f"ops and types of the file, against tflite-micro "
        f"{report.runtime}",
        code=MICRO_FILE,
        kind=PROBLEM,
    )


def explain_failed_run(subject: Subject) -> Findings:
    """The runtime itself refused the file."""
    report = _report(subject)
    if report is None or not report.run.has_failed or report.problems:
        return
    yield Finding(
        what="The file did not run in TensorFlow Lite Micro.",
        why=report.run.reason,
        effect="An op of the list may refuse a type or a shape.",
        evidence=MEASURED,
        source=f"a run in tflite-micro {report.run.version}",
        code='print(netopt.export.micro_report("model.tflite"))',
        kind=PROBLEM,
    )


def install_runtime(subject: Subject) -> Findings:
    """Without the runtime, nothing proves that the file runs."""
    report = _report(subject)
    if report is None or report.run.status != "not made":
        return
    yield Finding(
        what="The file was not run by TensorFlow Lite Micro.",
        why=f"{report.run.reason}.",
        effect="Ops and types were compared with those of tflite-micro "
        f"{report.runtime}; only a run proves that it runs.",
        evidence=UNKNOWN,
        code=INSTALL,
        kind=UNSEEN,
    )


def write_array(subject: FileSubject) -> Findings:
    """A file that nothing stands against: as an array in C."""
    report = _report(subject)
    if report is None or not report.can_run:
        return
    yield Finding(
        what="Write the file as an array in C.",
        why=f"{describe_needs(report)}.",
        effect="Compare both with your board.",
        evidence=MEASURED,
        source="the file and its plan of activations",
        code=f'netopt.export.to_c_array({subject.path!r}, "model.h")',
    )


def describe_needs(report: Any) -> str:
    """Returns the memory that a file needs, and the run, as text."""
    memory = "not planned"
    if report.activation_bytes is not None:
        memory = f"{report.activation_bytes:,} bytes and a few kB"
    text = f"Flash: {report.file_bytes:,} bytes; RAM: {memory}"
    if report.run.status == "ran":
        text += f". TensorFlow Lite Micro {report.run}"
    return text


def export_integers(subject: ModelSubject) -> Findings:
    """int8 with integer inputs and outputs, as an array in C."""
    report, files = _report(subject), subject.files
    effect, evidence = "A quarter of the bytes of float32", DOCUMENTED
    source = sources.LITERT_QUANTIZATION
    if report is not None and files is not None:
        evidence, source = MEASURED, "the int8 file of this model"
        effect = f"{describe_needs(report)}. Compare both with your board"
    yield Finding(
        what="Export int8 with integer inputs and outputs, as an array in C.",
        why="The runtime has no kernels for int8 weights with float "
        "activations, float16 or sparse weights.",
        effect=f"{effect}.",
        evidence=evidence,
        source=source,
        code=f'{MICRO_FILE}\nnetopt.export.to_c_array("model.tflite", '
        '"model.h")',
    )


def shrink_activations(subject: ModelSubject) -> Findings:
    """The layers with the largest outputs decide on the memory."""
    report = _report(subject)
    planned = None if report is None else report.activation_bytes
    if planned is None or planned < MUCH_MEMORY:
        return
    rows = [row for row in subject.cost.layers if row.macs]
    rows.sort(key=lambda row: -_output_size(row))
    names = ", ".join(
        f"{row.name} {row.output_shapes[0][1:]}" for row in rows[:2]
    )
    yield Finding(
        what=f"If the RAM is short, make these outputs smaller: {names}.",
        why=f"Activations take {planned:,} bytes; the largest that live at "
        "the same time count.",
        effect="In proportion to their channels, or to the area of the input.",
        evidence=MEASURED,
        source="the plan of the file's activations",
        code=TRAIN.format(
            "netopt.callbacks.ChannelPruning(0.5, include="
            f"{layer_rules.list_patterns(rows[:2])})"
        ),
    )


def _output_size(row: Any) -> int:
    shape = row.output_shapes[0] if row.output_shapes else ()
    return math.prod(axis or 1 for axis in shape)


def drop_zeros(subject: ModelSubject) -> Findings:
    """Zeros are stored and multiplied like other numbers."""
    if subject.sparsity < MANY_ZEROS:
        return
    yield Finding(
        what="Remove channels instead of single weights.",
        why=f"{subject.sparsity:.0%} of the kernels are zero, and the runtime "
        "has no DENSIFY: zeros take as much flash and time as other numbers.",
        effect="None by zeros.",
        evidence=DOCUMENTED,
        source=sources.MICRO_DENSIFY,
        code=TRAIN.format(
            'netopt.callbacks.ChannelPruning(0.5, resource="macs")'
        ),
        kind=CAUTION,
    )


def convert_again(subject: FileSubject) -> Findings:
    """A float file that the runtime takes."""
    report = _report(subject)
    if report is None or report.problems or subject.float_share < 0.5:
        return
    yield Finding(
        what="Export the Keras model in int8.",
        why=f"{subject.float_share:.0%} of the weights are float32: "
        f"{report.file_bytes:,} bytes of flash.",
        effect="A quarter of the bytes, and integer arithmetic.",
        evidence=DOCUMENTED,
        source=sources.LITERT_QUANTIZATION,
        code=MICRO_FILE,
    )


RULES = (
    any_target.explain_missing_file,
    repair_file,
    explain_failed_run,
    export_integers,
    any_target.remove_channels,
    shrink_activations,
    layer_rules.cut_heavy_layers,
    layer_rules.store_embeddings,
    drop_zeros,
    any_target.fix_free_axes,
    any_target.explain_unknown_layers,
    install_runtime,
)
FILE_RULES = (
    repair_file,
    explain_failed_run,
    convert_again,
    write_array,
    install_runtime,
)
