"""Rules about Keras models on graphics processors; none is measured there."""

import math
from collections.abc import Iterator
from typing import Any

from keras_netopt.advice import any_target, layer_rules, sources
from keras_netopt.advice.any_target import TRAIN, Findings, describe_saving
from keras_netopt.advice.finding import (
    CAUTION,
    DOCUMENTED,
    MEASURED,
    UNKNOWN,
    Finding,
)
from keras_netopt.advice.measured_files import FLOAT, FLOAT16
from keras_netopt.advice.model_subject import ModelSubject

MULTIPLE = 8
WASTE = 0.05
WITH_CHANNELS = ("Conv", "Dense", "EinsumDense", "LSTM", "GRU")


def forms(subject: ModelSubject) -> tuple[str, ...]:
    """The files to measure."""
    return FLOAT, FLOAT16


def remove_channels(subject: ModelSubject) -> Findings:
    """Fewer channels, at widths that fill the tiles of a GPU."""
    yield from any_target.remove_channels(subject, round_to=MULTIPLE)


def fill_tiles(subject: ModelSubject) -> Findings:
    """Channels that are no multiple of 8 are padded on tensor cores."""
    rows = list(_list_padded(subject))
    extra = sum(padded - macs for _, macs, padded in rows)
    if not subject.cost.macs or extra < WASTE * subject.cost.macs:
        return
    rows.sort(key=lambda row: row[1] - row[2])
    names = ", ".join(name for name, _, _ in rows[:3])
    yield Finding(
        what=f"Choose widths that are multiples of {MULTIPLE}.",
        why=f"{len(rows)} layers have others, such as {names}. Padded to "
        f"multiples of {MULTIPLE} the model has "
        f"{extra / subject.cost.macs:.0%} more MACs (counted). Tensor cores "
        "work on such tiles.",
        effect="At most these MACs; the time on a GPU was not measured.",
        evidence=DOCUMENTED,
        source=sources.TENSOR_CORES,
        code=TRAIN.format(
            f"netopt.callbacks.ChannelPruning(0.25, round_to={MULTIPLE})"
        ),
    )


def _list_padded(subject: ModelSubject) -> Iterator[tuple[str, int, int]]:
    """Yields name, MACs, and MACs with padded channels, if they differ."""
    for row in subject.cost.layers:
        layer: Any = subject.layers.get(row.name)
        kernel = getattr(layer, "kernel", None)
        if not row.macs or kernel is None or len(kernel.shape) < 2:
            continue
        if "Depthwise" in row.kind or not row.kind.startswith(WITH_CHANNELS):
            continue
        sides = [int(side) for side in kernel.shape[-2:]]
        # The first layer reads as many channels as the data have.
        sides = [side for side in sides if side >= MULTIPLE]
        factor = 1.0
        for side in sides:
            factor *= math.ceil(side / MULTIPLE) * MULTIPLE / side
        if factor > 1:
            yield row.name, row.macs, round(row.macs * factor)


def compute_in_half(subject: ModelSubject) -> Findings:
    """float16 on a server."""
    if subject.half_layers:
        return
    yield Finding(
        what="In Keras, train and serve in mixed precision.",
        why="All layers compute in float32; tensor cores work in 16 bits.",
        effect="Up to 3 times faster on recent GPUs, according to TensorFlow's "
        "guide; not measured here.",
        evidence=DOCUMENTED,
        source=sources.MIXED_PRECISION,
        code='keras.config.set_dtype_policy("mixed_float16")  '
        "# before the model is built",
    )


def store_float16(subject: ModelSubject) -> Findings:
    """float16 files for LiteRT's GPU delegate."""
    saving = describe_saving(subject, FLOAT16)
    yield Finding(
        what="For LiteRT on the GPU of a phone, export float16 weights.",
        why="The delegate computes in 16 or 32 bit floats.",
        effect=f"{saving or 'Half of the bytes'}; time on a GPU: not measured "
        "here.",
        evidence=MEASURED if saving else DOCUMENTED,
        source="bytes of both files"
        if saving
        else f"{sources.LITERT_GPU}, {sources.LITERT_FLOAT16}",
        code='netopt.export.to_litert(model, "model.tflite", '
        'quantize="float16")',
    )


def doubt_zeros(subject: ModelSubject) -> Findings:
    """Masks are multiplied like any weights."""
    yield Finding(
        what="Do not prune single weights for speed on a GPU.",
        why="Keras multiplies full matrices, zeros included; no kernel here "
        "skips them.",
        effect="Unknown; none is promised. The download does get smaller.",
        evidence=UNKNOWN,
        code=TRAIN.format("netopt.callbacks.Pruning(0.9)")
        + "  # for the download",
        kind=CAUTION,
    )


def keep_two_of_four(subject: ModelSubject) -> Findings:
    """2:4 needs kernels of NVIDIA's libraries."""
    yield Finding(
        what="Prune 2:4 only if your inference library has 2:4 kernels.",
        why="Sparse tensor cores (NVIDIA Ampere and later) need cuSPARSELt or "
        "TensorRT; neither Keras nor LiteRT calls them.",
        effect="Up to 2 times the throughput of a matrix product there, "
        "according to NVIDIA; nothing in Keras or LiteRT.",
        evidence=DOCUMENTED,
        source=sources.NVIDIA_SPARSE,
        code=TRAIN.format('netopt.callbacks.Pruning(pattern="2:4")'),
        kind=CAUTION,
    )


RULES = (
    any_target.explain_missing_file,
    compute_in_half,
    remove_channels,
    fill_tiles,
    layer_rules.cut_heavy_layers,
    store_float16,
    doubt_zeros,
    keep_two_of_four,
    any_target.fix_free_axes,
    any_target.explain_unknown_layers,
)
