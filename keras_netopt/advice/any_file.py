"""Rules about LiteRT files, by target."""

from collections.abc import Iterator

from keras_netopt.advice import sources
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
from keras_netopt.advice.x86 import MANY_ZEROS

Findings = Iterator[Finding]
WEB = '"web"'
WEB_TYPES = ("float32", "int32", "uint8")


def replace_flex_ops(subject: FileSubject) -> Findings:
    """TensorFlow ops need a delegate that few runtimes have."""
    flex = [op for op in subject.report.ops if op.startswith("Flex")]
    if not flex:
        return
    yield Finding(
        what=f"Replace the TensorFlow ops {', '.join(flex)}.",
        why="They need the Flex delegate; the default interpreter, browsers "
        "and microcontrollers have none.",
        effect="The file does not run there.",
        evidence=DOCUMENTED,
        source=sources.EXPORT,
        code='netopt.export.to_litert(model, "model.tflite")  '
        "# names the ops, and the layer where it can",
        kind=PROBLEM,
    )


def explain_no_run(subject: FileSubject) -> Findings:
    """The interpreter of this machine does not run the file."""
    errors = subject.files.errors if subject.files else {}
    for text in errors.values():
        yield Finding(
            what="The file did not run here.",
            why=text,
            effect="No time was measured.",
            evidence=MEASURED,
            source="LiteRT's interpreter, in this call",
            code=f"print(netopt.export.inspect_file({subject.path!r}))",
            kind=PROBLEM,
        )


def quantize_again(subject: FileSubject) -> Findings:
    """A float file can be a quarter of its size."""
    if subject.float_share < 0.5 or "DENSIFY" in subject.report.ops:
        return
    is_web = subject.target == "browser"
    speed = (
        "In a browser elsewhere 1.8 times faster for a CNN, no faster for a "
        "depthwise network"
        if is_web
        else "`advise(model)` measures whether it is faster"
    )
    yield Finding(
        what="Export the Keras model with int8 weights.",
        why=f"{subject.float_share:.0%} of the weights are float32.",
        effect=f"A quarter of the bytes. {speed}.",
        evidence=DOCUMENTED,
        source=sources.WEB if is_web else sources.LITERT_QUANTIZATION,
        code='netopt.export.to_litert(model, "model.tflite", '
        f'quantize="dynamic"{", target=" + WEB if is_web else ""})',
    )


def compress_zeros(subject: FileSubject) -> Findings:
    """Zeros that are stored in full."""
    zeros = subject.sparsity
    if zeros is None or zeros < MANY_ZEROS:
        return
    size = subject.report.size
    sparse = subject.float_share > 0.5
    yield Finding(
        what="Serve the file compressed: zeros are stored in full.",
        why=f"{zeros:.0%} of the weights are zero.",
        effect=f"{size.raw:,} to {size.gzip:,} bytes for the download; the "
        "latency stays.",
        evidence=MEASURED,
        source="gzip at level 9",
        code='netopt.export.to_litert(model, "model.tflite", sparse=True)'
        if sparse
        else f"gzip -9 -k {subject.path}",
    )


def expect_slow_decoding(subject: FileSubject) -> Findings:
    """Weights of 4 or 2 bits are decoded in each call."""
    if not subject.is_low_bit:
        return
    yield Finding(
        what='Use quantize="dynamic" where speed counts.',
        why="Weights of 4 or 2 bits are decoded to float32 in each call.",
        effect="The file is small: as fast as float32 for dense layers, 7 "
        "times slower for convolutions on x86.",
        evidence=DOCUMENTED,
        source=sources.ADVICE,
        code='netopt.export.to_litert(model, "model.tflite", '
        'quantize="dynamic")',
        kind=CAUTION,
    )


def begin_with_heavy_ops(subject: FileSubject) -> Findings:
    """A few ops hold most of the MACs."""
    ops = sorted(subject.kernel_ops, key=lambda one: -one.macs)
    total = sum(one.macs for one in ops)
    top = ops[:3]
    share = sum(one.macs for one in top) / total if total else 0.0
    if share < 0.5 or len(ops) < 6:
        return
    names = ", ".join(
        f"{one.op} {one.name.split(';')[0]} ({one.macs / total:.0%})"
        for one in top
    )
    yield Finding(
        what=f"Remove channels of the Keras model in three ops first: {names}.",
        why=f"They hold {share:.0%} of the MACs.",
        effect="Cuts elsewhere save little.",
        evidence=MEASURED,
        source="MACs per op, counted in the file",
        code='print(netopt.export.advise(model, "'
        f'{subject.target}"))  # names the layers',
    )


def pass_the_model(subject: FileSubject) -> Findings:
    """What a file does not tell."""
    what = {
        "arm": "Sparse inference of XNNPACK",
        "gpu": "The widths of the layers",
    }.get(subject.target, "Channel pruning and early exits")
    yield Finding(
        what=f"{what} can be judged of the Keras model only: pass it.",
        why="A file has no layers that could be changed.",
        effect="More findings.",
        evidence=UNKNOWN,
        code=f'print(netopt.export.advise(model, "{subject.target}"))',
        kind=UNSEEN,
    )


def fix_web_shapes(subject: FileSubject) -> Findings:
    """LiteRT.js refuses free axes."""
    free = [
        f"{one.name} {one.shape}"
        for one in subject.report.inputs
        if None in one.shape
    ]
    if not free:
        return
    yield Finding(
        what='Export again with target="web": this file does not run in '
        "LiteRT.js.",
        why=f"Free axes: {', '.join(free)}.",
        effect="LiteRT.js runs inputs of fixed shapes only.",
        evidence=DOCUMENTED,
        source=f"{sources.LITERT_WEB}, {sources.WEB}",
        code='netopt.export.to_litert(model, "model.tflite", target="web")',
        kind=PROBLEM,
    )


def fix_web_types(subject: FileSubject) -> Findings:
    """LiteRT.js refuses int8, int64 and bool at its borders."""
    sides = (*subject.report.inputs, *subject.report.outputs)
    wrong = [
        f"{one.name} ({one.dtype})"
        for one in sides
        if one.dtype not in WEB_TYPES
    ]
    if not wrong:
        return
    yield Finding(
        what="Export with inputs and outputs in float32, int32 or uint8.",
        why=f"LiteRT.js refuses {', '.join(wrong)}.",
        effect="The file does not load in a browser otherwise.",
        evidence=DOCUMENTED,
        source=sources.WEB,
        code='netopt.export.to_litert(model, "model.tflite", target="web")',
        kind=PROBLEM,
    )


def store_half(subject: FileSubject) -> Findings:
    """GPU delegates compute in 16 or 32 bit floats."""
    if subject.float_share < 0.5:
        return
    yield Finding(
        what="For LiteRT on the GPU of a phone, export float16 weights.",
        why="The delegate computes in 16 or 32 bit floats.",
        effect="Half of the bytes; time on a GPU: not measured here.",
        evidence=DOCUMENTED,
        source=f"{sources.LITERT_GPU}, {sources.LITERT_FLOAT16}",
        code='netopt.export.to_litert(model, "model.tflite", '
        'quantize="float16")',
    )


CPU = (
    replace_flex_ops,
    explain_no_run,
    begin_with_heavy_ops,
    quantize_again,
    compress_zeros,
    expect_slow_decoding,
    pass_the_model,
)
GPU = (replace_flex_ops, store_half, compress_zeros, pass_the_model)
BROWSER = (
    replace_flex_ops,
    fix_web_shapes,
    fix_web_types,
    begin_with_heavy_ops,
    quantize_again,
    compress_zeros,
    pass_the_model,
)
