"""Rules about Keras models in a browser (LiteRT.js); none is timed there."""

import keras

from keras_netopt.advice import any_target, layer_rules, sources
from keras_netopt.advice.any_target import Findings, describe_saving
from keras_netopt.advice.finding import (
    CAUTION,
    DOCUMENTED,
    MEASURED,
    PROBLEM,
    Finding,
)
from keras_netopt.advice.measured_files import DYNAMIC, FLOAT
from keras_netopt.advice.model_subject import ModelSubject
from keras_netopt.graph.symbolic import input_specs, is_never_called

INPUTS = ("float32", "int32", "uint8", "float16", "bfloat16")
RUNTIME = 2_900_000  # Bytes of the runtime and its loader, gzipped.
SMALL = RUNTIME // 10
WEB_FILE = 'netopt.export.to_litert(model, "model.tflite", target="web"{})'


def forms(subject: ModelSubject) -> tuple[str, ...]:
    """The files to measure."""
    return FLOAT, DYNAMIC


def fix_batch(subject: ModelSubject) -> Findings:
    """LiteRT.js runs files with fixed input shapes only."""
    yield Finding(
        what='Export with target="web".',
        why="LiteRT.js refuses a file with a free batch axis, which is the "
        'default; target="web" fixes it to 1 and checks types and ops.',
        effect="The file runs in a browser.",
        evidence=DOCUMENTED,
        source=f"{sources.LITERT_WEB}, {sources.WEB}",
        code=WEB_FILE.format("")
        + '\nnetopt.export.write_web_page("model.tflite", "page", x[:24])',
    )


def change_inputs(subject: ModelSubject) -> Findings:
    """LiteRT.js has no int64 and no bool."""
    if is_never_called(subject.model):
        return
    specs = keras.tree.flatten(input_specs(subject.model))
    wrong = [
        f"{one.name} ({one.dtype})" for one in specs if one.dtype not in INPUTS
    ]
    if not wrong:
        return
    yield Finding(
        what=f"Change the inputs {', '.join(wrong)}.",
        why="LiteRT.js takes float32, int32 and uint8 only.",
        effect="The file is refused otherwise.",
        evidence=DOCUMENTED,
        source=sources.WEB,
        code='inputs = keras.Input(shape, dtype="int32")',
        kind=PROBLEM,
    )


def quantize_for_download(subject: ModelSubject) -> Findings:
    """int8 weights shrink the download."""
    saving = describe_saving(subject, DYNAMIC)
    files = subject.files
    if saving and files and files.forms[FLOAT].gzip < SMALL:
        return
    yield Finding(
        what="Export int8 weights for a quarter of the download.",
        why="Every number format of `to_litert` runs in LiteRT.js.",
        effect=f"{saving or 'A quarter of the bytes'}. In a browser elsewhere "
        "1.8 times faster for a CNN, and no faster for a depthwise network.",
        evidence=MEASURED if saving else DOCUMENTED,
        source=f"bytes of both files; time: {sources.WEB}"
        if saving
        else sources.WEB,
        code=WEB_FILE.format(', quantize="dynamic"'),
    )


def compare_runtime(subject: ModelSubject) -> Findings:
    """Below some size, the runtime is the download."""
    files = subject.files
    if files is None or FLOAT not in files.forms:
        return
    size = files.forms[FLOAT].gzip
    if size >= SMALL:
        return
    yield Finding(
        what="Do not spend accuracy on a smaller file.",
        why=f"The float32 file is {size:,} bytes gzipped; the runtime of "
        f"LiteRT.js is about {RUNTIME / 1e6:.1f} MB gzipped, once per user.",
        effect="A file of a quarter of the bytes changes less than 10 % of "
        "the download.",
        evidence=MEASURED,
        source=f"bytes of this model; runtime: {sources.WEB_PAGE}",
        code=WEB_FILE.format(""),
        kind=CAUTION,
    )


RULES = (
    any_target.explain_missing_file,
    change_inputs,
    fix_batch,
    any_target.remove_channels,
    quantize_for_download,
    layer_rules.add_early_exits,
    compare_runtime,
    layer_rules.store_embeddings,
    any_target.fix_free_axes,
    any_target.explain_unknown_layers,
)
