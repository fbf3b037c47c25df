"""Makes the blocks that `deepen` inserts, anew for a loaded model as well."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras

from keras_netopt.graph.graph_node import GraphNode
from keras_netopt.graph.insert_block import BlockFunction, insert_block
from keras_netopt.graph.layer_paths import index_operations
from keras_netopt.graph.layers import walk_layers
from keras_netopt.graph.model_graph import has_mask
from keras_netopt.graph.recorded_calls import list_calls, list_operations
from keras_netopt.surgery.edits.edit_history import EditRecord
from keras_netopt.surgery.edits.edit_recorder import EditRecorder, Insertion
from keras_netopt.surgery.edits.edited_class import edit_step
from keras_netopt.surgery.growing.block_factory import (
    BlockFactory,
    LayerSequence,
    wrap_as_layer,
)
from keras_netopt.surgery.growing.template_block import TemplateBlock
from keras_netopt.training import optimizers


def describe_insertion(call: GraphNode, edit: EditRecord) -> Insertion:
    """Returns a function that says where an object holds inserted layers.

    It takes the layers of the object before the edit and gives the step for
    `repeat_insertion`.
    """
    operations = [one for _, one in index_operations(call.owner).values()]
    position = next(
        k for k, one in enumerate(operations) if one is call.operation
    )
    arguments = {k: edit[k] for k in ("copies", "init", "block", "seed")}

    def describe(layers: list[Any]) -> list[Any] | None:
        for place, one in enumerate(layers):
            if one is call.owner:
                values = {"owner": place, "position": position, **arguments}
                return ["insert", values]
        return None

    return describe


@edit_step("insert")
def repeat_insertion(holder: Any, values: EditRecord) -> None:
    """Inserts the blocks of an earlier edit into an object of a file."""
    owner: Any = list(walk_layers(holder))[values["owner"]]
    operations = [one for _, one in index_operations(owner).values()]
    layer = operations[values["position"]]
    call = next(one for one in list_calls(owner) if one.operation is layer)
    init, seeds = values["init"], (values["seed"], values["position"])
    function = find_block_function(values["block"], init)
    template = TemplateBlock.starting_at(call)
    build = make_blocks(None, template, values["copies"], init, function, seeds)
    inside = EditRecorder([holder], skip=holder)
    insertion = describe_insertion(call, values)
    insert_block(template.last_call, build)
    inside.finish(insertion)


def make_blocks(
    model: keras.Model | None,
    template: TemplateBlock,
    copies: int,
    init: str,
    block: BlockFunction | None,
    seeds: tuple[int, ...],
) -> BlockFunction:
    """Returns a function that calls the layers of new blocks on a tensor.

    `model` is the edited model; without it the new variables get the name
    scope of a nested one.
    """
    owner, tensor = template.last_call.owner, template.last_call.output
    taken = [one.name for one in list_operations(owner)]
    factory = BlockFactory(template, seeds)
    made: list[BlockFunction] = []
    number = 0
    for _ in range(copies):
        number = _free_number(template.layer.name, number + 1, taken)
        name = f"{template.layer.name}_deeper{number}"
        with _scopes(model, owner, name):
            new = block or getattr(factory, init)(name)
            is_inline = isinstance(new, LayerSequence) or block is None
            if isinstance(owner, keras.Sequential):
                is_inline = isinstance(new, LayerSequence)
                _check_mask(owner, tensor, is_inline)
            if not is_inline:
                new = wrap_as_layer(tensor, new, name)
        made.append(_scoped(new, model, owner, name))
    return LayerSequence(made)


def _check_mask(owner: Any, tensor: Any, is_inline: bool) -> None:
    """A nested model drops the mask when the file is loaded again."""
    if not is_inline and has_mask(tensor):
        raise ValueError(
            "A residual block cannot be inserted at a tensor with a mask in "
            f"the Sequential model '{owner.name}'. Build it as "
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


def _scoped(
    build: BlockFunction, model: Any, owner: Any, name: str
) -> BlockFunction:
    def scoped(tensor: Any) -> Any:
        with _scopes(model, owner, name):
            return build(tensor)

    return scoped


@contextlib.contextmanager
def _scopes(model: Any, owner: Any, name: str) -> Iterator[None]:
    """Sets the device scope and a unique name scope for new variables.

    Variables with the same path lose their gradients on torch.
    """
    scope = name if owner is model else f"{owner.name}_{name}"
    with optimizers.variable_scope(model), keras.name_scope(scope):
        yield


def find_block_function(block: Any, init: str) -> BlockFunction | None:
    """Returns the function for argument `block`, found by name if it is one."""
    if block is None:
        return None
    if init != "residual_zero":
        raise ValueError(
            "Argument `init` applies to the built-in blocks; a `block` "
            "function sets its own weights. Omit one of the two. "
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
