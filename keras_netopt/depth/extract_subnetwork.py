"""Extracts a shallower network from one trained with LayerDrop."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_netopt.checks import check_bool
from keras_netopt.graph.check_model import check_model
from keras_netopt.graph.model_graph import is_graph_model

EVERY_OTHER = "every_other"
Keep = str | Sequence[int] | Mapping[str, Sequence[int]]


def extract_subnetwork(
    model: keras.Model, keep: Keep = EVERY_OTHER, *, copy: bool = False
) -> keras.Model:
    """Returns a plain model with only some blocks of each `LayerDrop` stack.

    Every `layers.LayerDrop` of the model, also in nested models, is replaced
    by the kept blocks. The new model has fewer layers and no layer of this
    package; `model` is not modified.

    Example:

    >>> import keras
    >>> import keras_netopt as netopt
    >>> blocks = [keras.layers.Dense(4, name=f"block_{k}") for k in range(4)]
    >>> model = keras.Sequential(
    ...     [keras.Input((4,)), netopt.layers.LayerDrop(blocks)]
    ... )
    >>> shallow = netopt.depth.extract_subnetwork(model, keep=[0, 3])
    >>> [layer.name for layer in shallow.layers[1:]]
    ['block_0', 'block_3']

    Args:
        model: A built model, Functional or Sequential.
        keep: The kept blocks: "every_other" (the first, third, ...), a list
            of block indices in ascending order for every stack, or a
            dictionary from the name of a `LayerDrop` to its list; other
            stacks keep all blocks. Defaults to `"every_other"`.
        copy: Whether the new model has its own weights. Defaults to `False`:
            it shares the layers of `model`.

    Returns:
        The new model, compiled like `model`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If the model is not built or is subclassed, if it has no
            `LayerDrop`, or `keep` does not fit.

    Reference:
        Fan, Grave and Joulin, "Reducing transformer depth on demand with
        structured dropout", 2019, https://arxiv.org/abs/1909.11556.
    """
    check_model(model)
    check_bool(copy, "copy")
    _check_keep(keep)
    extractor = _Extractor(keep)
    shallow = extractor.rebuild(model)
    if not extractor.found:
        raise ValueError(
            "Argument `model` must call a `LayerDrop` layer in its graph. "
            f"Received: model=<{type(model).__name__} name={model.name}>"
        )
    missing = set(keep) - extractor.found if isinstance(keep, Mapping) else ()
    if missing:
        raise ValueError(
            "Argument `keep` must name `LayerDrop` layers of the model, which "
            f"are {sorted(extractor.found)}. Received: keep={keep!r}"
        )
    if not copy:
        return shallow
    clone = keras.models.clone_model(shallow)
    clone.set_weights(shallow.get_weights())
    return clone


class _Extractor:
    """Rebuilds a graph with the kept blocks."""

    def __init__(self, keep: Keep) -> None:
        self.keep = keep
        self.found: set[str] = set()
        self.nested: dict[int, keras.Model] = {}

    def rebuild(self, model: keras.Model) -> keras.Model:
        if not is_graph_model(model):
            raise ValueError(
                "Argument `model` must be Functional or Sequential: the "
                "`call` of a subclassed model cannot be rewritten. "
                f"Received: model=<{type(model).__name__} name={model.name}>"
            )
        graph: Any = model
        if isinstance(model, keras.Sequential):
            # As tensors: a list would be the structure of the inputs.
            (inputs,), (outputs,) = model.inputs, model.outputs
            graph = keras.Model(inputs, outputs, name=model.name)
        shallow = keras.models.clone_model(
            graph, clone_function=lambda layer: layer, call_function=self.call
        )
        if model.compiled and not shallow.compiled:
            shallow.compile_from_config(model.get_compile_config())
        return shallow

    def call(self, layer: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(layer, keras.Model) and is_graph_model(layer):
            return self._rebuild_nested(layer)(*args, **kwargs)
        stack = getattr(layer, "netopt_block_stack", None)
        if stack is None:
            return layer(*args, **kwargs)
        self.found.add(layer.name)
        blocks, residual = stack
        x = args[0] if args else next(iter(kwargs.values()))
        for k in self._kept_indices(layer.name, len(blocks)):
            outputs = self.call(blocks[k], x)
            x = keras.layers.Add()([x, outputs]) if residual else outputs
        return x

    def _rebuild_nested(self, model: keras.Model) -> keras.Model:
        """Returns a nested model unchanged unless it holds a stack."""
        if id(model) not in self.nested:
            before = set(self.found)
            self.found.clear()
            rebuilt = self.rebuild(model)
            self.nested[id(model)] = rebuilt if self.found else model
            self.found |= before
        return self.nested[id(model)]

    def _kept_indices(self, name: str, count: int) -> list[int]:
        keep = self.keep
        if isinstance(keep, Mapping):
            keep = keep.get(name, range(count))
        if isinstance(keep, str):
            return list(range(0, count, 2))
        if keep and keep[-1] >= count:
            raise ValueError(
                f"Argument `keep` must be below {count}, the number of blocks "
                f"of {name!r}. Received: keep={self.keep!r}"
            )
        return list(keep)


def _check_keep(keep: Any) -> None:
    choices = list(keep.values()) if isinstance(keep, Mapping) else [keep]
    for one in choices:
        if one == EVERY_OTHER:
            continue
        is_list = isinstance(one, list | tuple) and bool(one)
        if (
            not is_list
            or any(type(k) is not int or k < 0 for k in one)
            or list(one) != sorted(set(one))
        ):
            raise ValueError(
                'Argument `keep` must be "every_other" or a list of at least '
                "one block index, from 0 on, in ascending order. "
                f"Received: keep={keep!r}"
            )
