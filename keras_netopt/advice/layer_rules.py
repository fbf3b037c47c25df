"""Rules about the layers of Keras models that hold on several targets."""

import re
from typing import Any

import keras

from keras_netopt.advice import sources
from keras_netopt.advice.any_target import TRAIN, Findings
from keras_netopt.advice.exit_layers import find_exit_layers
from keras_netopt.advice.finding import (
    CAUTION,
    DOCUMENTED,
    MEASURED,
    Finding,
)
from keras_netopt.advice.measured_files import FLOAT
from keras_netopt.advice.model_subject import ModelSubject
from keras_netopt.graph.layers import walk_layers
from keras_netopt.graph.model_graph import producer
from keras_netopt.graph.recorded_calls import list_all_calls

# Worth a finding: three layers hold this share, the largest that one.
THREE, ONE = 0.6, 0.25
MIN_LAYERS = 6
MIN_EXIT_MACS = 1_000_000


def cut_heavy_layers(subject: ModelSubject) -> Findings:
    """A few layers hold most of the MACs: what reaches them."""
    rows = find_concentrated(subject, "macs")
    cut = subject.cut
    if not rows or isinstance(cut, str):
        return
    widths = {row.layer.split(":")[0] for row in cut.widths}
    open_rows = [row for row in rows if row.name in widths]
    closed = [
        f"{row.name} keeps its channels ({subject.reached[row.name]})"
        for row in rows
        if row.name in subject.reached and row.name not in widths
    ]
    if not open_rows:
        return
    yield Finding(
        what=f"Begin with {_list(open_rows, 'macs', subject.cost.macs)} of "
        "the MACs.",
        why=f"Cuts elsewhere save little{''.join(f'; {c}' for c in closed)}.",
        effect="Channels removed in these layers count most.",
        evidence=MEASURED,
        source="MACs per layer, counted",
        code=TRAIN.format(
            "netopt.callbacks.ChannelPruning(0.5, include="
            f"{list_patterns(open_rows)})"
        ),
    )


def store_embeddings(subject: ModelSubject) -> Findings:
    """Pruning and MACs do not reach a large table."""
    rows = [row for row in subject.cost.layers if "Embedding" in row.kind]
    share = sum(row.bytes for row in rows) / max(1, subject.cost.bytes)
    if share < ONE:
        return
    names = ", ".join(row.name for row in rows[:3])
    yield Finding(
        what="Make the vocabulary or the embedding smaller: "
        f"{names} hold {share:.0%} of the bytes.",
        why="Lookups cost no MACs, so that channel pruning saves no time "
        "there; `Pruning` leaves embeddings alone unless it is told.",
        effect="Bytes fall in proportion to rows and columns.",
        evidence=MEASURED,
        source="bytes per layer, counted",
        code=TRAIN.format(
            f"netopt.callbacks.Pruning(0.8, include={list_patterns(rows)})"
        )
        + "  # zeros, for gzip",
    )


def find_concentrated(subject: ModelSubject, what: str) -> list[Any]:
    """Returns the three layers with most "macs" or "bytes", if it is most."""
    share, rows = subject.heaviest(what)
    total = getattr(subject.cost, what)
    count = sum(1 for row in subject.cost.layers if row.macs)
    unknown = what == "macs" and subject.free_axes
    if share < THREE or count < MIN_LAYERS or unknown:
        return []
    return rows if getattr(rows[0], what) >= ONE * total else []


def _list(rows: list[Any], what: str, total: int) -> str:
    return ", ".join(
        f"{row.name} ({getattr(row, what) / total:.0%})" for row in rows
    )


def list_patterns(rows: list[Any]) -> list[str]:
    """Returns selectors of layers for `include`."""
    return [re.escape(row.name).replace(r"\-", "-") + "$" for row in rows]


def fuse_batch_norm(subject: ModelSubject) -> Findings:
    """Normalization behind an activation cannot be folded into a kernel."""
    if not subject.is_graph:
        return
    found = []
    for call in list_all_calls(subject.model):
        layer: Any = call.operation
        if isinstance(layer, keras.layers.BatchNormalization):
            maker = producer(call.input_tensors[0])
            if _is_activated(maker):
                found.append((layer.name, maker.name))
    if not found:
        return
    pairs = ", ".join(f"{norm} behind {maker}" for norm, maker in found[:3])
    files = subject.files
    count = (
        files.forms[FLOAT].ops.get("MUL", 0)
        if files and FLOAT in files.forms
        else 0
    )
    yield Finding(
        what=f"Move {len(found)} BatchNormalization layers before the "
        "activation.",
        why=f"{pairs}: a convolution with an activation in between cannot "
        "absorb the scale, so that the file multiplies and adds at each "
        "position.",
        effect=f"The float32 file has {count} MUL ops; trained with "
        "convolution, normalization, activation it needs none for these."
        if count
        else "One MUL and one ADD op per layer less.",
        evidence=MEASURED if count else DOCUMENTED,
        source="ops of the file" if count else sources.ADVICE,
        code="x = keras.layers.Conv2D(filters, 3, use_bias=False)(x)\n"
        "x = keras.layers.BatchNormalization()(x)\n"
        'x = keras.layers.Activation("relu")(x)',
    )


def _is_activated(maker: Any) -> bool:
    if isinstance(maker, keras.layers.ReLU | keras.layers.Activation):
        return True
    activation = getattr(maker, "activation", None)
    return (
        isinstance(maker, keras.layers.Layer)
        and hasattr(maker, "kernel")
        and getattr(activation, "__name__", "linear") != "linear"
    )


def find_recurrent(subject: ModelSubject) -> list[str]:
    """Returns the names of layers that loop over time in the file."""
    return [
        layer.name
        for layer in walk_layers(subject.model)
        if isinstance(layer, keras.layers.RNN) and not layer.unroll
    ]


def fix_recurrent_batch(subject: ModelSubject) -> Findings:
    """Files of recurrent layers have a fixed batch."""
    names = find_recurrent(subject)
    inputs = keras.tree.flatten(getattr(subject.model, "inputs", None) or [])
    if not names or not inputs or inputs[0].shape[0] is not None:
        return
    specs = ", ".join(
        f"keras.InputSpec(shape={(8, *one.shape[1:])})" for one in inputs
    )
    yield Finding(
        what="Name the batch size if you run more than one sample per call.",
        why=f"Recurrent layers ({', '.join(names[:3])}) are exported with a "
        "fixed batch of 1.",
        effect="The file takes 8 samples per call instead of 1.",
        evidence=DOCUMENTED,
        source=sources.EXPORT,
        code='netopt.export.to_litert(model, "model.tflite", '
        f"input_signature=[{specs}])",
        kind=CAUTION,
    )


def store_half_precision(subject: ModelSubject) -> Findings:
    """Training in half precision does not make the file smaller."""
    if not subject.half_layers:
        return
    yield Finding(
        what="Ask for float16 weights: training in half precision does not "
        "shrink the file.",
        why=f"{len(subject.half_layers)} layers are in half precision; the "
        "file is made from a float32 clone.",
        effect="Half of the bytes; a CPU computes in float32 all the same.",
        evidence=DOCUMENTED,
        source=sources.LITERT_FLOAT16,
        code='netopt.export.to_litert(model, "model.tflite", '
        'quantize="float16")',
    )


def add_early_exits(subject: ModelSubject) -> Findings:
    """Easy samples can leave a classifier early."""
    cost = subject.cost
    outputs = getattr(subject.model, "outputs", None) or []
    is_classifier = (
        len(outputs) == 1
        and len(outputs[0].shape) == 2
        and (outputs[0].shape[-1] or 0) > 1
    )
    if not subject.is_graph or not is_classifier or subject.free_axes:
        return
    if cost.macs < MIN_EXIT_MACS:
        return
    layers = find_exit_layers(subject.model, cost)
    if not layers:
        return
    yield Finding(
        what="Add early exits, if samples come one by one and many are easy.",
        why=f"Everything behind {' and '.join(layers)} depends on that output "
        "alone, early in the MACs.",
        effect="Elsewhere: 3.5 times lower mean LiteRT latency at batch 1, "
        "-0.10 points; the slowest sample costs 2 % more.",
        evidence=DOCUMENTED,
        source=sources.EXITS,
        code=f"exits = netopt.depth.add_exits(model, layers={layers})",
    )
