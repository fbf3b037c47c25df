"""Rules about Keras models on ARM processors; none is measured there."""

from keras_netopt.advice import any_target, layer_rules, sources
from keras_netopt.advice.any_target import TRAIN, Findings
from keras_netopt.advice.finding import CAUTION, DOCUMENTED, Finding
from keras_netopt.advice.measured_files import (
    DYNAMIC,
    FLOAT,
    HALVED,
    SPARSE,
    host_target,
)
from keras_netopt.advice.model_subject import ModelSubject
from keras_netopt.advice.x86 import MANY_ZEROS, decode_low_bits
from keras_netopt.sparsity.kernel_zeros import used_value

ENOUGH_ZEROS = 2 / 3
SOURCE = f"{sources.XNNPACK_POLICY}, {sources.XNNPACK_SPARSE}"
SPEEDUP = (
    "1.2 to 2.4 times faster in Google's models on phones; not measured here, "
    "and only in a runtime with XNNPACK."
)
SPARSE_FILE = 'netopt.export.to_litert(model, "model.tflite", sparse=True)'


def forms(subject: ModelSubject) -> tuple[str, ...]:
    """The files to measure."""
    found = [FLOAT, DYNAMIC]
    if subject.sparsity >= MANY_ZEROS:
        found.append(SPARSE)
    if host_target() == "arm" and not isinstance(subject.cut, str):
        found += [HALVED] if subject.cut.widths else []
    return tuple(found)


def infer_sparsely(subject: ModelSubject) -> Findings:
    """XNNPACK's sparse kernels, if the graph is such a chain."""
    chain = subject.chain
    if chain is None or not chain.is_whole or not chain.kernels:
        return
    values = [used_value(one.kernel, one) for one in chain.kernels]
    share = sum(float((v == 0).sum()) for v in values) / sum(
        v.size for v in values
    )
    facts = (
        f"The graph is a chain that XNNPACK runs sparsely; {share:.0%} of its "
        f"{len(values)} 1x1 kernels are zero, at least 67 % must be."
    )
    is_pruned = share >= ENOUGH_ZEROS
    first = chain.kernels[0].name
    yield Finding(
        what="Export the zeros for sparse inference."
        if is_pruned
        else "Prune the 1x1 convolutions to 75 % for sparse inference.",
        why=facts,
        effect=SPEEDUP,
        evidence=DOCUMENTED,
        source=f"{SOURCE}, {sources.XNNPACK_SPEED}",
        code=SPARSE_FILE
        if is_pruned
        else TRAIN.format(
            "netopt.callbacks.Pruning(0.75, include=lambda layer: "
            'getattr(layer, "kernel_size", None) == (1, 1))'
        )
        + f"\n{SPARSE_FILE}  # {first} and {len(values) - 1} more",
    )


def explain_broken_chain(subject: ModelSubject) -> Findings:
    """Zeros are for size only where the chain is broken."""
    chain = subject.chain
    if chain is not None and chain.is_whole and chain.kernels:
        return
    if chain is None:
        why = "A subclassed model has no graph that could be checked"
    elif chain.layer:
        why = f"XNNPACK's sparse kernels need a chain, and {chain.layer} "
        why += chain.reason
    else:
        why = chain.reason or "no 1x1 convolution lies in the chain"
    yield Finding(
        what="Prune for a smaller download, not for speed.",
        why=f"{why}.",
        effect="Fewer gzip bytes; no faster inference is documented for this "
        "graph.",
        evidence=DOCUMENTED,
        source=SOURCE,
        code=SPARSE_FILE
        if subject.sparsity >= MANY_ZEROS
        else TRAIN.format("netopt.callbacks.Pruning(0.9)"),
        kind=CAUTION,
    )


RULES = (
    any_target.explain_missing_file,
    any_target.remove_channels,
    any_target.quantize_weights,
    infer_sparsely,
    layer_rules.cut_heavy_layers,
    layer_rules.store_embeddings,
    layer_rules.add_early_exits,
    layer_rules.store_half_precision,
    layer_rules.fuse_batch_norm,
    explain_broken_chain,
    decode_low_bits,
    layer_rules.fix_recurrent_batch,
    any_target.fix_free_axes,
    any_target.explain_unknown_layers,
)
