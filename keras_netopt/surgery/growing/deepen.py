"""Puts new blocks behind a layer, in place.

Private names of Keras 3.15: `KerasTensor._keras_mask`, `Functional._outputs`.
"""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from keras_netopt.checks import check_choice, check_integer
from keras_netopt.surgery.edits import edit_lifecycle
from keras_netopt.surgery.edits.edit import Change
from keras_netopt.surgery.edits.journal import verb
from keras_netopt.surgery.edits.report import EditReport
from keras_netopt.surgery.graph.channel_graph import ChannelGraph
from keras_netopt.surgery.graph.names import functional, layer_paths, nodes
from keras_netopt.surgery.growing.anchors import Anchor
from keras_netopt.surgery.growing.blocks import BlockFactory, Chain, as_layer
from keras_netopt.surgery.growing.insert import (
    Build,
    InsertionPoint,
    insert,
    places,
)
from keras_netopt.training import optimizers, slots
from keras_netopt.training.editing import editing

INITS = ("residual_zero", "identity", "copy", "gaussian")


@verb
def deepen(
    model: keras.Model,
    *,
    after: Any,
    copies: int = 1,
    init: str = "residual_zero",
    block: "Build | str | None" = None,
    seed: int = 0,
    dry_run: bool = False,
) -> EditReport:
    """Inserts blocks behind a layer; model, layers and variables stay.

    A block stands behind the layer and the normalization and activation that
    follow it, and looks like the layer: convolutions behind a convolution,
    dense layers elsewhere. Its layers are named "<layer>_deeper1_...", counted
    on; in a Sequential model x + F(x) is one layer "<layer>_deeper1", a nested
    model, and so is every block of your own. Optimizer slots and masks are
    kept, the new weights get new slots. It works on a trained model as well
    as inside a callback while `fit` runs. Other models that were made of the
    same tensors have to be made anew.

    Example:

    >>> import keras
    >>> from keras_netopt import surgery
    >>> model = keras.Sequential([
    ...     keras.Input((4,)),
    ...     keras.layers.Dense(3, activation="gelu", name="hidden"),
    ...     keras.layers.Dense(2, name="out"),
    ... ])
    >>> before = surgery.snapshot(model)
    >>> report = surgery.deepen(model, after="hidden")
    >>> [layer.name for layer in model.layers]
    ['hidden', 'hidden_deeper1', 'out']
    >>> surgery.check_preserved(before, model).verdict
    'exact'

    Args:
        model: A built Functional or Sequential model.
        after: The layer: its name, its path in nested models
            ("encoder/conv") or the layer itself.
        copies: Number of blocks, at least 1. Defaults to `1`.
        init: How the blocks begin. "residual_zero": x + F(x) with F(x) = 0,
            the outputs stay what they are, in training mode too. "identity":
            a layer that passes its input on, without a way around it; the
            outputs stay too, but only an activation like ReLU allows it.
            "copy": the layer once more with its weights, as in stacking.
            "gaussian": x + F(x) with random weights, as in AutoGrow. The
            last two change the outputs. Defaults to `"residual_zero"`.
        block: A function from a tensor to a tensor of the same shape that
            calls new layers, or the name under which it is registered with
            Keras; whether the outputs stay is then up to it. Defaults to
            `None`.
        seed: Seed of the new weights. Defaults to `0`.
        dry_run: Whether to change nothing and only report. Defaults to
            `False`.

    Returns:
        The report; `print` it.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, the layer is not known or
            makes an output of the model, or no block fits behind it. The
            model is untouched then.

    Reference:
        Chen et al., *Net2Net*, 2016, https://arxiv.org/abs/1511.05641
        (identity); Wen et al., *AutoGrow*, 2020,
        https://arxiv.org/abs/1906.02909 (gaussian).
    """
    check_integer(copies, "copies", minimum=1)
    check_integer(seed, "seed")
    check_choice(init, "init", INITS)
    function = _function(block, init)
    graph = ChannelGraph(model)
    path = graph.path(graph.find(after))
    if dry_run:
        report = deepen(
            keras.models.clone_model(model),
            after=path,
            copies=copies,
            init=init,
            block=block,
            seed=seed,
        )
        return dataclasses.replace(report, dry_run=True)
    anchor = Anchor.at(_find(model, graph, after))
    _check_inside(model, anchor, path)
    starts_at_zero = init == "residual_zero" and function is None
    edit_lifecycle.check_optimizer(model, zero_outgoing=starts_at_zero)
    seeds = int(seed), layer_paths(model).index(path)
    build = _blocks(model, anchor, copies, init, function, seeds)
    event = {
        "verb": "deepen",
        "after": path,
        "copies": int(copies),
        "init": init,
        "block": None if function is None else _name(function),
        "seed": int(seed),
    }
    before = edit_lifecycle.Before.of(model)
    inserted, report = _insert(model, anchor.end, build)
    return edit_lifecycle.finish(
        model,
        event,
        before,
        inserted=inserted,
        slots=report,
        notes=_notes(init, function),
    )


def _insert(
    model: keras.Model, place: InsertionPoint, build: Build
) -> tuple[tuple[str, ...], slots.SlotReport | None]:
    with editing(model) as record, contextlib.ExitStack() as undo:
        held, weights = slots.capture_slots(model), list(model.weights)
        if held is not None:
            undo.callback(slots.restore_slots, model, held, _unchanged)
        added, take_back = insert(place, build)
        undo.callback(take_back)
        report = None
        if held is not None:
            report = slots.restore_slots(model, held, _unchanged)
        undo.pop_all()
        record.changes.append(Change(model, weights, None, report))
        return tuple(one.name for one in added), report


def _unchanged(variable: Any, array: np.ndarray, kind: str) -> np.ndarray:
    return array


def _find(
    model: keras.Model, graph: ChannelGraph, after: Any
) -> InsertionPoint:
    """Finds the one call of a layer."""
    layer = graph.find(after)
    path = graph.path(layer)
    found = [p for p in places(model) if p.node.operation is layer]
    if not found:
        raise ValueError(
            f"Layer '{path}' lies inside another layer, where no block can "
            "stand. Name the layer around it. "
            f"Received: after={path!r}"
        )
    if len(found) > 1:
        raise ValueError(
            f"Layer '{path}' is called {len(found)} times, so it is not clear "
            "where a block should stand. Name a layer behind one of the "
            f"calls. Received: after={path!r}"
        )
    node = found[0].node
    if node.is_input or len(node.outputs) != 1:
        what = (
            "is an input"
            if node.is_input
            else f"has {len(node.outputs)} outputs"
        )
        raise ValueError(
            f"Layer '{path}' {what}; no block can stand behind it. Name "
            f"another layer. Received: after={path!r}"
        )
    if getattr(layer, "quantization_mode", None):
        raise ValueError(
            f"Layer '{path}' is quantized; insert blocks before the model is "
            f"quantized. Received: after={path!r}"
        )
    return found[0]


def _check_inside(model: keras.Model, anchor: Anchor, path: str) -> None:
    if _is_head(model, anchor.end.graph, anchor.end.tensor, pooled=False):
        raise ValueError(
            f"Layer '{path}' makes an output of the model '{model.name}': a "
            "block behind it would work on the model's answers. Name a layer "
            f"before it. Received: after={path!r}"
        )


def _is_head(
    model: keras.Model, graph: Any, tensor: Any, *, pooled: bool
) -> bool:
    """Whether nothing that learns stands between a tensor and an output."""
    places_ = [k for k, one in enumerate(graph._outputs) if one is tensor]
    if places_ and graph is functional(model):
        return not pooled
    outside = [
        (functional(p.owner), p.node.outputs[k])
        for p in places(model)
        if functional(p.node.operation) is graph
        for k in places_
    ]
    inside = []
    for node in nodes(graph):
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
    """Whether what follows is a summary and no softmax has come since."""
    name = type(operation).__name__
    activation = getattr(operation, "activation", None)
    if name == "Softmax" or activation is keras.activations.softmax:
        return False
    return before or "Pooling" in name


def _blocks(
    model: keras.Model,
    anchor: Anchor,
    copies: int,
    init: str,
    block: Build | None,
    seeds: tuple[int, ...],
) -> Build:
    owner, tensor = anchor.end.owner, anchor.end.tensor
    taken = [node.operation.name for node in nodes(functional(owner))]
    shop = BlockFactory(anchor, seeds)
    made: list[Build] = []
    number = 0
    for _ in range(copies):
        number = _free_number(anchor.layer.name, number + 1, taken)
        name = f"{anchor.layer.name}_deeper{number}"
        with _scopes(model, owner, name):
            new = block or getattr(shop, init)(name)
            is_inline = isinstance(new, Chain) or block is None
            if isinstance(owner, keras.Sequential):
                is_inline = isinstance(new, Chain)
                _check_mask(owner, tensor, is_inline)
            if not is_inline:
                new = as_layer(tensor, new, name)
        made.append(_scoped(new, model, owner, name))
    return Chain(made)


def _check_mask(owner: Any, tensor: Any, is_inline: bool) -> None:
    """A nested model passes no mask on when the file is read again."""
    if not is_inline and getattr(tensor, "_keras_mask", None) is not None:
        raise ValueError(
            f"A block with a way around it can't stand in the Sequential "
            f"model '{owner.name}' where a mask passes. Build it as "
            "`keras.Model(inputs, outputs)`. Received: a tensor with a mask"
        )


def _free_number(base: str, first: int, taken: Sequence[str]) -> int:
    number = first
    while any(
        one == f"{base}_deeper{number}"
        or one.startswith(f"{base}_deeper{number}_")
        for one in taken
    ):
        number += 1
    return number


def _scoped(build: Build, model: Any, owner: Any, name: str) -> Build:
    def scoped(tensor: Any) -> Any:
        with _scopes(model, owner, name):
            return build(tensor)

    return scoped


@contextlib.contextmanager
def _scopes(model: Any, owner: Any, name: str) -> Iterator[None]:
    """Where variables are made and what they are called.

    Paths of variables that repeat lose their gradients on torch.
    """
    scope = name if owner is model else f"{owner.name}_{name}"
    with optimizers.variable_scope(model), keras.name_scope(scope):
        yield


def _function(block: Any, init: str) -> Build | None:
    if block is None:
        return None
    if init != "residual_zero":
        raise ValueError(
            "Argument `init` says how a block of ours begins; a block of your "
            "own brings its weights. Leave one of the two out. "
            f"Received: init={init!r}, block={block!r}"
        )
    if isinstance(block, str):
        found = keras.saving.get_registered_object(block)
        if found is None:
            raise ValueError(
                "Argument `block` must be a function, or a name registered "
                "with keras.saving.register_keras_serializable. "
                f"Received: block={block!r}"
            )
        return found
    if not callable(block):
        raise TypeError(
            "Argument `block` must be a function from tensor to tensor. "
            f"Received: block={block!r}"
        )
    return block


def _name(function: Any) -> str:
    return keras.saving.get_registered_name(function)


def _notes(init: str, block: Any) -> tuple[str, ...]:
    if block is not None:
        return ("the block is your own: whether the outputs stay is up to it",)
    if init in ("copy", "gaussian"):
        return (f"init={init!r} changes the outputs",)
    return ()
