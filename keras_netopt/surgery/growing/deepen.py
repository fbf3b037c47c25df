"""Inserts new blocks after a layer, in place."""

from typing import Any

import keras

from keras_netopt.checks import check_choice, check_integer
from keras_netopt.graph.graph_node import GraphNode
from keras_netopt.graph.insert_block import BlockFunction, insert_block
from keras_netopt.graph.layer_paths import layer_paths
from keras_netopt.graph.model_graph import (
    graph_outputs,
    inner_graph,
    is_graph_model,
)
from keras_netopt.graph.recorded_calls import (
    list_all_calls,
    list_calls,
)
from keras_netopt.surgery.channels.channel_graph import ChannelGraph
from keras_netopt.surgery.edits import edit_lifecycle
from keras_netopt.surgery.edits.apply_plan import AppliedEdit, keep_array
from keras_netopt.surgery.edits.edit_history import EditRecord, edit_operation
from keras_netopt.surgery.edits.edit_report import EditReport
from keras_netopt.surgery.growing.make_blocks import (
    describe_insertion,
    find_block_function,
    make_blocks,
)
from keras_netopt.surgery.growing.template_block import TemplateBlock
from keras_netopt.training import slots
from keras_netopt.training.editing import editing, find_relatives
from keras_netopt.training.slot_checks import check_optimizer

INITS = ("residual_zero", "identity", "copy", "gaussian")


@edit_operation
def deepen(
    model: keras.Model,
    layer: Any,
    *,
    copies: int = 1,
    init: str = "residual_zero",
    block: "BlockFunction | str | None" = None,
    seed: int = 0,
    dry_run: bool = False,
) -> EditReport:
    """Inserts blocks after a layer; model, layers and variables stay the same.

    A block is inserted after the layer and the normalization and activation
    that follow it. It has the type of the layer: convolutions after a
    convolution, dense layers elsewhere. Its layers are named
    "<layer>_deeper1_...", then "<layer>_deeper2_..." and so on. In a
    Sequential model a residual block x + F(x), and every block built by a
    `block` function, is one nested model "<layer>_deeper1". Optimizer slots
    and masks are carried over, new weights get new slots. Works on a trained
    model and inside a callback while `fit` runs. Other models that share the
    layers of this one get the blocks as well.

    Example:

    >>> import keras
    >>> from keras_netopt import surgery
    >>> model = keras.Sequential([
    ...     keras.Input((4,)),
    ...     keras.layers.Dense(3, activation="gelu", name="hidden"),
    ...     keras.layers.Dense(2, name="out"),
    ... ])
    >>> before = surgery.snapshot(model)
    >>> report = surgery.deepen(model, "hidden")
    >>> [layer.name for layer in model.layers]
    ['hidden', 'hidden_deeper1', 'out']
    >>> surgery.check_preserved(before, model).verdict
    'exact'

    Args:
        model: A built Functional or Sequential model.
        layer: The layer after which the blocks are inserted: its name, its
            path in nested models ("encoder/conv") or the layer object.
        copies: Number of blocks, at least 1. Defaults to `1`.
        init: Initialization of the blocks. "residual_zero": x + F(x) with
            F(x) = 0, which preserves the outputs in inference and training
            mode. "identity": a layer without a skip connection that computes
            the identity, which needs an idempotent activation such as ReLU.
            "copy": a copy of the layer with its weights, as in stacking.
            "gaussian": x + F(x) with random weights, as in AutoGrow. The last
            two change the outputs. Defaults to `"residual_zero"`.
        block: A function from a tensor to a tensor of the same shape that
            calls new layers, or its name registered with Keras. The function
            decides whether the outputs are preserved. Defaults to `None`.
        seed: Seed of the new weights. Defaults to `0`.
        dry_run: Whether to leave the model unchanged and only report.
            Defaults to `False`.

    Returns:
        The report; `print` it.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, the layer is unknown or
            makes an output of the model, or no block fits after it. The
            model is unchanged then.

    Reference:
        Chen et al., *Net2Net*, 2016, https://arxiv.org/abs/1511.05641
        (identity); Wen et al., *AutoGrow*, 2020,
        https://arxiv.org/abs/1906.02909 (gaussian).
    """
    check_integer(copies, "copies", minimum=1)
    check_integer(seed, "seed")
    check_choice(init, "init", INITS)
    function = find_block_function(block, init)
    graph = ChannelGraph(model)
    path = graph.path(graph.find(layer))
    edit: EditRecord = {
        "operation": "deepen",
        "layer": path,
        "copies": int(copies),
        "init": init,
        "block": function and keras.saving.get_registered_name(function),
        "seed": int(seed),
    }
    if dry_run:
        arguments = {**edit, "block": block}
        return edit_lifecycle.dry_run_edit(model, deepen, arguments)
    template = TemplateBlock.starting_at(_find_call(model, graph, path))
    _check_not_output(model, template, path)
    starts_at_zero = init == "residual_zero" and function is None
    check_optimizer(model, zero_outgoing=starts_at_zero)
    seeds = int(seed), layer_paths(model).index(path)
    build = make_blocks(model, template, copies, init, function, seeds)
    with editing(model):
        before = edit_lifecycle.ModelOutline.of(model)
        insertion = describe_insertion(template.calls[0], edit)
        inserted, report = _insert(model, template.last_call, build)
        return edit_lifecycle.record_edit(
            model,
            edit,
            before,
            insertion=insertion,
            inserted=inserted,
            slots=report,
            notes=_notes(init, function),
        )


def _insert(
    model: keras.Model, place: GraphNode, build: BlockFunction
) -> tuple[tuple[str, ...], slots.SlotReport | None]:
    with editing(model) as changes:
        held, weights = slots.capture_slots(model), list(model.weights)
        added, _ = insert_block(place, build, find_relatives(model))
        report = None
        if held is not None:
            report = slots.restore_slots(model, held, keep_array)
        changes.append(AppliedEdit(model, weights, None, report))
        return tuple(one.name for one in added), report


def _find_call(model: keras.Model, graph: ChannelGraph, path: str) -> GraphNode:
    """Finds the one call of a layer."""
    layer = graph.find(path)
    if not is_graph_model(model):
        raise ValueError(
            f"The model '{model.name}' is subclassed: its code calls the "
            "layers, so no block can be inserted. Build it with "
            "`keras.Model(inputs, outputs)`. "
            f"Received: model={type(model).__name__}"
        )
    found = [c for c in list_all_calls(model) if c.operation is layer]
    if not found:
        raise ValueError(
            f"Layer '{path}' lies inside another layer, where no block can be "
            "inserted. Name the enclosing layer. "
            f"Received: layer={path!r}"
        )
    if len(found) > 1:
        raise ValueError(
            f"Layer '{path}' is called {len(found)} times, so the position of "
            "a block is ambiguous. Name a layer that follows one of the "
            f"calls. Received: layer={path!r}"
        )
    node = found[0]
    if node.is_input or len(node.outputs) != 1:
        what = (
            "is an input"
            if node.is_input
            else f"has {len(node.outputs)} outputs"
        )
        raise ValueError(
            f"Layer '{path}' {what}; no block can be inserted after it. "
            f"Name another layer. Received: layer={path!r}"
        )
    if getattr(layer, "quantization_mode", None):
        raise ValueError(
            f"Layer '{path}' is quantized; insert blocks before the model is "
            f"quantized. Received: layer={path!r}"
        )
    return found[0]


def _check_not_output(
    model: keras.Model, template: TemplateBlock, path: str
) -> None:
    call = template.last_call
    if _is_head(model, inner_graph(call.owner), call.output, pooled=False):
        raise ValueError(
            f"Layer '{path}' makes an output of the model '{model.name}': no "
            "block can be inserted after it. Name a layer before it. "
            f"Received: layer={path!r}"
        )


def _is_head(
    model: keras.Model, graph: Any, tensor: Any, *, pooled: bool
) -> bool:
    """Whether no layer with weights is between a tensor and an output."""
    positions = [
        k for k, one in enumerate(graph_outputs(graph)) if one is tensor
    ]
    if positions and graph is inner_graph(model):
        return not pooled
    outside = [
        (inner_graph(call.owner), call.outputs[k])
        for call in list_all_calls(model)
        if inner_graph(call.operation) is graph
        for k in positions
    ]
    inside = []
    for node in list_calls(graph):
        reads = any(one is tensor for one in node.input_tensors)
        if not reads or len(node.input_tensors) > 1:
            continue
        if getattr(node.operation, "weights", ()):
            continue
        inside.append((node.operation, node.outputs[0]))
    return any(
        _is_head(model, other, one, pooled=pooled) for other, one in outside
    ) or any(
        _is_head(model, graph, one, pooled=_pools(operation, before=pooled))
        for operation, one in inside
    )


def _pools(operation: Any, *, before: bool) -> bool:
    """Whether pooling was applied, without a softmax after it."""
    name = type(operation).__name__
    activation = getattr(operation, "activation", None)
    if name == "Softmax" or activation is keras.activations.softmax:
        return False
    return before or "Pooling" in name


def _notes(init: str, block: Any) -> tuple[str, ...]:
    notes = [
        "call `surgery.replay(model, path)` before you load a `.weights.h5` "
        "file of this model into a newly built one: Keras does not notice "
        "additional layers"
    ]
    if block is not None:
        notes.insert(
            0, "the `block` function decides whether the outputs are preserved"
        )
    elif init in ("copy", "gaussian"):
        notes.insert(0, f"init={init!r} changes the outputs")
    return tuple(notes)
