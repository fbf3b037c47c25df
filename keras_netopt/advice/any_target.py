"""Rules about Keras models that hold on several targets."""

from collections.abc import Iterator
from typing import Any

import keras

from keras_netopt.advice import sources
from keras_netopt.advice.finding import (
    DOCUMENTED,
    MEASURED,
    PROBLEM,
    UNKNOWN,
    UNSEEN,
    Finding,
)
from keras_netopt.advice.measured_files import DYNAMIC, FLOAT, HALVED
from keras_netopt.advice.model_subject import ModelSubject

Findings = Iterator[Finding]
WHAT_FAILED = {
    "latency": "The files were not timed.",
    "inspection": "The file was not checked for the target.",
}
TRAIN = "model.fit(x, y, epochs=10, callbacks=[{}])"
INT8_ELSEWHERE = {
    "x86": (
        "Elsewhere 3 times faster for dense layers and 3x3 convolutions, 2 "
        "times slower for depthwise and 1x1 ones (with int8 activations: "
        "faster)",
        sources.ADVICE,
    ),
    "arm": (
        "LiteRT's guide names 2 to 3 times the speed; nets of depthwise "
        "convolutions were slower on x86, so time both on the device",
        sources.LITERT_QUANTIZATION,
    ),
}
SAME = (0.9, 1.1)  # Ratios of time that count as equal.


def fix_free_axes(subject: ModelSubject) -> Findings:
    """MACs and files need a size for every axis but the batch."""
    if not subject.free_axes:
        return
    shapes = [
        tuple(shape[:1]) + tuple(a or 128 for a in shape[1:])
        for shape in subject.free_axes
    ]
    structure: Any = keras.tree.pack_sequence_as(
        subject.model.input, range(len(shapes))
    )
    shape = keras.tree.map_structure(lambda k: shapes[k], structure)
    yield Finding(
        what="Give the inputs a typical shape.",
        why=f"The inputs {subject.free_axes} have free axes.",
        effect="Then MACs are counted and files written and timed.",
        evidence=UNKNOWN,
        code=f'netopt.export.advise(model, "{subject.target}", '
        f"input_shape={shape})",
        kind=PROBLEM,
    )


def explain_missing_file(subject: ModelSubject) -> Findings:
    """A form that could not be written, run or timed."""
    if subject.files is None:
        return
    for form, text in subject.files.errors.items():
        if form == HALVED:
            continue
        is_first = form == FLOAT or FLOAT not in subject.files.forms
        yield Finding(
            what=WHAT_FAILED.get(form, f"The {form} file was not written."),
            why=text,
            effect="No file, no measurement."
            if is_first
            else "This form was not measured; others were.",
            evidence=MEASURED,
            source="the converter, in this call",
            kind=PROBLEM if is_first else UNSEEN,
        )
        if is_first:
            return


def explain_unknown_layers(subject: ModelSubject) -> Findings:
    """Layers whose MACs cannot be counted."""
    unknown = subject.cost.unknown
    if not unknown or subject.free_axes:
        return
    names = ", ".join(row.name for row in unknown[:3])
    yield Finding(
        what=f"The MACs of {len(unknown)} layers were not counted: {names}.",
        why=unknown[0].note,
        effect="Shares of the MACs are those of the other layers.",
        evidence=UNKNOWN,
        code="print(netopt.cost.summarize(model))",
        kind=UNSEEN,
    )


def remove_channels(
    subject: ModelSubject, round_to: int | None = None
) -> Findings:
    """Fewer channels are less work on every device."""
    cut = subject.cut
    if isinstance(cut, str) or not cut.widths:
        reasons = cut if isinstance(cut, str) else _first_reason(cut.skipped)
        yield Finding(
            what="Channels of this model were not removed in a trial.",
            why=reasons or "no layer has channels that may go",
            effect="Unknown whether channel pruning helps.",
            evidence=UNKNOWN,
            code=_code_for_first(cut)
            or "print(netopt.surgery.prune_channels(model, 0.5, dry_run=True))",
            kind=UNSEEN,
        )
        return
    count = len(cut.widths)
    left = f"{cut.after.params / cut.before.params:.0%} of the parameters"
    if cut.before.macs and not cut.before.is_lower_bound:
        share = cut.after.macs / cut.before.macs
        left = f"{share:.0%} of the MACs and {left}"
    left = (
        f"Without half of the channels of {count} layer{'s' * (count > 1)} "
        f"{left} are left."
    )
    rounding = "" if round_to is None else f", round_to={round_to}"
    effect, evidence, source = _channel_effect(subject)
    ratio = subject.time_ratio(HALVED)
    yield Finding(
        what="Remove channels for size; that is hardly faster here."
        if ratio is not None and ratio > SAME[0]
        else "Remove channels: fewer operations on every device.",
        why=left,
        effect=effect,
        evidence=evidence,
        source=source,
        time_ratio=ratio,
        code=TRAIN.format(
            f'netopt.callbacks.ChannelPruning(0.5, score="taylor", '
            f"calibration_data=(x, y){rounding})"
        ),
    )


def _channel_effect(subject: ModelSubject) -> tuple[str, str, str]:
    ratio, files = subject.time_ratio(HALVED), subject.files
    if ratio is not None and files is not None:
        old, new = files.forms[FLOAT], files.forms[HALVED]
        return (
            f"float32 file: {new.milliseconds:.3g} instead of "
            f"{old.milliseconds:.3g} ms ({1 / ratio:.1f} x faster), "
            f"{new.raw:,} instead of {old.raw:,} bytes. The accuracy after "
            "further training is not known; compare with the same shape "
            "trained from scratch.",
            MEASURED,
            f"a copy with half of the channels, {files.clock}",
        )
    return (
        "Elsewhere: a quarter of the MACs, 3.5 times lower LiteRT latency on "
        "x86, -0.49 points of accuracy.",
        DOCUMENTED,
        sources.CHANNELS,
    )


def _code_for_first(cut: Any) -> str:
    """Returns the line that prunes a first convolution, "" without one."""
    rows = () if isinstance(cut, str) else cut.skipped
    names = [
        f"{name}$" for name, why in rows if why.startswith("first convolution")
    ]
    if not names:
        return ""
    return TRAIN.format(
        f"netopt.callbacks.ChannelPruning(0.5, include={names})"
    )


def _first_reason(skipped: tuple[tuple[str, str], ...]) -> str:
    return f"{skipped[0][0]}: {skipped[0][1]}" if skipped else ""


def describe_saving(subject: ModelSubject, form: str) -> str:
    """Returns the bytes of a form and of float32, or ""."""
    files = subject.files
    if files is None or not {form, FLOAT} <= files.forms.keys():
        return ""
    old, new = files.forms[FLOAT], files.forms[form]
    return (
        f"{old.raw:,} to {new.raw:,} bytes (gzip {old.gzip:,} to {new.gzip:,})"
    )


def quantize_weights(subject: ModelSubject) -> Findings:
    """int8 weights: a quarter of the bytes; whether faster is measured."""
    saving = describe_saving(subject, DYNAMIC)
    ratio = subject.time_ratio(DYNAMIC)
    if subject.grid_bits is not None or _gains_nothing(subject, ratio):
        return
    effect, evidence, source = _int8_effect(subject, saving, ratio)
    yield Finding(
        what=f"Export int8 weights{_int8_verdict(ratio)}.",
        why="Kernels are stored in 8 bits; no data are needed.",
        effect=f"{effect}. Check the accuracy with `netopt.export.evaluate`.",
        evidence=evidence,
        source=source,
        code='netopt.export.to_litert(model, "model.tflite", '
        'quantize="dynamic")',
        time_ratio=ratio,
    )


def _gains_nothing(subject: ModelSubject, ratio: float | None) -> bool:
    """Whether the int8 file was measured to be neither smaller nor faster."""
    forms = {} if subject.files is None else subject.files.forms
    if not {FLOAT, DYNAMIC} <= forms.keys():
        return False
    is_fast = ratio is not None and ratio < SAME[0]
    return not is_fast and forms[DYNAMIC].raw > SAME[0] * forms[FLOAT].raw


def _int8_verdict(ratio: float | None) -> str:
    if ratio is None:
        return " for a quarter of the bytes"
    if ratio < SAME[0]:
        return f": smaller, and {1 / ratio:.1f} x faster here"
    if ratio > SAME[1]:
        return f" for their size only: {ratio:.1f} x slower here"
    return " for their size; they are not faster here"


def _int8_effect(
    subject: ModelSubject, saving: str, ratio: float | None
) -> tuple[str, str, str]:
    """Returns the effect, the evidence and its source."""
    files = subject.files
    if ratio is not None and files is not None:
        old, new = files.milliseconds(FLOAT), files.milliseconds(DYNAMIC)
        effect = f"{saving}; {old:.3g} to {new:.3g} ms"
        return effect, MEASURED, f"both files, {files.clock}"
    elsewhere, source = INT8_ELSEWHERE.get(
        subject.target, INT8_ELSEWHERE["x86"]
    )
    if saving:
        source = f"bytes of both files; time: {source}"
        return f"{saving}. {elsewhere}", MEASURED, source
    return f"A quarter of the bytes. {elsewhere}", DOCUMENTED, source
