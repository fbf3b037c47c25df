"""Rules about Keras models on x86 processors."""

from keras_netopt.advice import any_target, layer_rules, sources
from keras_netopt.advice.any_target import TRAIN, Findings, describe_saving
from keras_netopt.advice.finding import CAUTION, DOCUMENTED, MEASURED, Finding
from keras_netopt.advice.measured_files import (
    DYNAMIC,
    FLOAT,
    HALVED,
    INT4,
    INT8,
    SPARSE,
)
from keras_netopt.advice.model_subject import ModelSubject

MANY_ZEROS = 0.5


def forms(subject: ModelSubject) -> tuple[str, ...]:
    """The files to measure."""
    found = [FLOAT, DYNAMIC]
    if not layer_rules.find_recurrent(subject):
        found.append(INT8)  # The converter's calibration fails in loops.
    if not isinstance(subject.cut, str) and subject.cut.widths:
        found.append(HALVED)
    if subject.sparsity >= MANY_ZEROS:
        found.append(SPARSE)
    if subject.grid_bits == 4:
        found.append(INT4)
    return tuple(found)


def quantize_activations(subject: ModelSubject) -> Findings:
    """Integer activations: silent where they are measured to be no faster."""
    ratio, weights = subject.time_ratio(INT8), subject.time_ratio(DYNAMIC)
    files = subject.files
    if files is not None and ratio is None:
        return
    if files is None and _differs_from_the_benchmark(subject):
        return
    if (ratio or 0.0) > any_target.SAME[0] * min(1.0, weights or 1.0):
        return
    what = "Quantize the activations, too"
    effect = "Elsewhere 1.8 to 3.6 times faster than float32"
    evidence, source = DOCUMENTED, sources.ADVICE
    if ratio is not None and files is not None:
        what += f": {1 / ratio:.1f} x faster than float32 here"
        old, new = files.milliseconds(FLOAT), files.milliseconds(INT8)
        effect = f"{describe_saving(subject, INT8)}; {old:.3g} to {new:.3g} ms"
        evidence, source = MEASURED, f"both files, {files.clock}"
    yield Finding(
        what=f"{what}.",
        why="Then most ops compute in int8. This needs 200 real samples, and "
        "rounds more than int8 weights alone.",
        effect=f"{effect}. Check the accuracy with `netopt.export.evaluate`.",
        evidence=evidence,
        source=source,
        code='netopt.export.to_litert(model, "model.tflite", '
        'quantize="int8", calibration_data=x)',
        time_ratio=ratio,
    )


def _differs_from_the_benchmark(subject: ModelSubject) -> bool:
    """Whether it has other layers than dense ones and convolutions."""
    return bool(layer_rules.find_recurrent(subject)) or any(
        "Attention" in row.kind or row.kind == "EinsumDense"
        for row in subject.cost.layers
    )


def prune_for_download(subject: ModelSubject) -> Findings:
    """Zeros compress; no pattern of them is faster."""
    if subject.sparsity >= MANY_ZEROS:
        return
    rows = [
        row
        for row in layer_rules.find_concentrated(subject, "bytes")
        if "Embedding" not in row.kind
    ]
    include = f", include={layer_rules.list_patterns(rows)}" if rows else ""
    where = f"{', '.join(row.name for row in rows)} hold most of the bytes. "
    yield Finding(
        what="Prune for a smaller download, not for speed.",
        why=f"{where if rows else ''}Zeros vanish in gzip; LiteRT multiplies "
        "by them like by any number on x86, whatever the pattern (2:4 and "
        "blocks too).",
        effect="Elsewhere: an MLP with 95 % zeros and int8 weights is 33,332 "
        "bytes gzipped, 247,038 without zeros, -0.25 points. Latency: no "
        "change.",
        evidence=DOCUMENTED,
        source=f"{sources.PRUNING}, {sources.ADVICE}",
        code=TRAIN.format(f"netopt.callbacks.Pruning(0.9{include})"),
    )


def store_zeros(subject: ModelSubject) -> Findings:
    """A pruned model: which file is small, and that none is fast."""
    if subject.sparsity < MANY_ZEROS:
        return
    sparse = describe_saving(subject, SPARSE)
    dynamic = describe_saving(subject, DYNAMIC)
    effect = (
        f'sparse=True: {sparse}; quantize="dynamic": {dynamic}.'
        if sparse and dynamic
        else "Fewer raw bytes."
    )
    ratio = subject.time_ratio(SPARSE)
    if ratio is not None:
        effect += f" Time of the sparse file: {ratio:.2f} x float32."
    yield Finding(
        what="Store the zeros sparsely, or take int8 weights and gzip: for "
        "size, not for speed.",
        why=f"{subject.sparsity:.0%} of the kernels are zero. The sparse "
        "format needs float32. For speed, `sparsity.compact(model)` removes "
        "the units that the zeros leave dead.",
        effect=effect,
        evidence=MEASURED if sparse else DOCUMENTED,
        source="files of this model" if sparse else sources.PRUNING,
        code='netopt.export.to_litert(model, "model.tflite", sparse=True)',
    )


def decode_low_bits(subject: ModelSubject) -> Findings:
    """int4 and int2 files are decoded to float32: small, not fast."""
    bits = subject.grid_bits
    if bits is None:
        return
    mode = "int2" if bits == 2 else "int4"
    saving = describe_saving(subject, mode)
    ratio = subject.time_ratio(mode)
    time = (
        f"; time {ratio:.2f} x float32"
        if ratio is not None
        else "; elsewhere as fast as float32 for dense layers, 7 times slower "
        "for convolutions"
    )
    yield Finding(
        what=f'Export with quantize="{mode}" for size; for speed with '
        '"dynamic".',
        why=f"The kernels lie on a grid of {bits} bits, which the file keeps. "
        "LiteRT decodes them to float32 in each call.",
        effect=(saving or "Half of the bytes of int8 or less") + time,
        evidence=MEASURED if saving else DOCUMENTED,
        source="files of this model"
        if saving
        else f"{sources.QUANTIZATION}, {sources.ADVICE}",
        code='netopt.export.to_litert(model, "model.tflite", '
        f'quantize="{mode}")',
        kind=CAUTION,
    )


RULES = (
    any_target.explain_missing_file,
    any_target.remove_channels,
    any_target.quantize_weights,
    quantize_activations,
    layer_rules.cut_heavy_layers,
    store_zeros,
    prune_for_download,
    layer_rules.store_embeddings,
    layer_rules.add_early_exits,
    layer_rules.store_half_precision,
    layer_rules.fuse_batch_norm,
    decode_low_bits,
    layer_rules.fix_recurrent_batch,
    any_target.fix_free_axes,
    any_target.explain_unknown_layers,
)
