"""Counts parameters, MACs and bytes of a model, layer by layer."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import keras

from keras_netopt.checks import check_bool
from keras_netopt.cost.cost_report import CostReport, LayerCost
from keras_netopt.cost.count_macs import count_macs, counts_inner_calls
from keras_netopt.cost.packed_weights import count_zeros
from keras_netopt.cost.weight_costs import itemsize, summarize_weights
from keras_netopt.graph.graph_node import GraphNode
from keras_netopt.graph.layers import own_variables, walk_layers
from keras_netopt.graph.model_graph import is_graph_model
from keras_netopt.graph.symbolic import input_specs, is_never_called
from keras_netopt.graph.trace_calls import graph_nodes

NEVER_CALLED = (
    "the inputs of the model are unknown: it is not called as a whole; "
    "summarize its parts"
)
Shapes = tuple[tuple[int | None, ...], ...]


def summarize(
    model: keras.Model, *, input_shape: Any = None, training: bool = False
) -> CostReport:
    """Counts parameters, zeros, MACs and bytes of a model, layer by layer.

    Nested, shared, wrapped and subclassed models are supported; shared
    parameters count once, MACs once per call. Element-wise operations
    (activations, normalisation, pooling, lookups) count 0 MACs. Layers that
    cannot be counted, such as a layer whose `call` leaves `keras.ops`, are
    listed in `unknown`. So are all layers of a model that is never called as
    a whole, such as a GAN: only its weights are counted, the MACs of a part
    by `summarize(model.generator)`. The model is not modified.

    Layers of this package that run their blocks conditionally count the
    average: blocks dropped in training, tokens routed around a block, the
    mean number of halting steps. Gates and routers are included.

    Example:

    >>> import keras
    >>> from keras_netopt.cost import summarize
    >>> model = keras.Sequential(
    ...     [keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, name="conv")],
    ...     name="tiny",
    ... )
    >>> report = summarize(model)
    >>> report.params, report.macs, report.bytes
    (112, 3888, 448)

    Args:
        model: A built Keras model.
        input_shape: The shape of the input, batch axis included, e.g.
            `(None, 224, 224, 3)`, for models with free axes; a structure of
            shapes for several inputs. Defaults to `None`: the model's own.
        training: Whether to count a forward pass in training, at the current
            drop rates, instead of in inference. Defaults to `False`.

    Returns:
        The report; `print(report)` shows a table like `model.summary()`.

    Raises:
        TypeError: If `model` is not a `keras.Model`, or `training` is not a
            bool.
        ValueError: If the model is not built or `input_shape` does not match
            its inputs.
    """
    check_bool(training, "training")
    if input_shape is None and is_never_called(model):
        return summarize_weights(model, NEVER_CALLED)
    table = _trace(model, input_shape, training)
    table.assign_weights(model)
    batch = table.batch
    rows = [row for row in table.rows.values() if not row.is_empty()]
    return CostReport(
        model.name, tuple(_layer_cost(row, batch) for row in rows)
    )


def count_model_macs(model: keras.Model) -> tuple[int, bool]:
    """Counts the MACs of one sample, as far as they can be counted.

    These are the MACs of `summarize`, which also reads every weight. Returns
    them, and whether some cannot be counted.
    """
    table = _trace(model, None, False)
    found = [_macs_per_sample(row, table.batch) for row in table.rows.values()]
    return sum(macs or 0 for macs, _ in found), any(why for _, why in found)


def check_countable(model: keras.Model, what: str) -> None:
    """Raises an error if the MACs of a model depend on an axis without a size.

    `what` describes for the message what needs them.
    """
    shapes = [one.shape for one in keras.tree.flatten(input_specs(model))]
    if (
        any(None in shape[1:] for shape in shapes)
        and count_model_macs(model)[1]
    ):
        raise ValueError(
            f"{what} needs MACs (multiply-accumulates), which depend on the "
            f"free axes of the inputs of '{model.name}'. Pass the shape of a "
            "typical input, for example `input_shape=(None, 128)`; a structure "
            "of shapes for several inputs. "
            f"Received: input_shape=None, a model with inputs {shapes}"
        )


def _trace(
    model: keras.Model, input_shape: Any, training: bool
) -> "_LayerTable":
    nodes = graph_nodes(
        model,
        input_shape=input_shape,
        enter=counts_inner_calls,
        containers=True,
    )
    table = _LayerTable(training, batch_size(nodes))
    for node in nodes:
        table.add_call(node)
    return table


@dataclass
class _Row:
    target: keras.Operation
    name: str
    output_shapes: Shapes = ()
    macs: float = 0
    calls: int = 0
    reasons: list[str] = field(default_factory=list)
    weights: list[keras.Variable] = field(default_factory=list)

    def is_empty(self) -> bool:
        """Whether the rows of the sublayers hold the whole cost."""
        if self.weights or self.macs or self.reasons:
            return False
        layer = self.target
        if isinstance(layer, keras.Model):
            return True
        return (
            isinstance(layer, keras.layers.Layer)
            and sum(1 for _ in walk_layers(layer)) > 1
        )


@dataclass
class _LayerTable:
    """Adds each call to the row of a layer of the model."""

    training: bool
    batch: int
    rows: dict[int, _Row] = field(default_factory=dict)

    def add_call(self, node: GraphNode) -> None:
        """Adds the MACs of one call to its row."""
        target, name = _row_target(node)
        row = self.rows.setdefault(id(target), _Row(target, name))
        own_work = node.untraced is not None
        if node.operation is target and not own_work:
            row.calls += 1
            row.output_shapes = row.output_shapes or node.output_shapes
        if node.entered:
            return
        macs = count_macs(node)
        if macs is None:
            row.reasons.append(_reason(node))
        else:
            rate = execution_rate(node, self.training)
            row.macs += macs if rate == 1.0 else macs * rate

    def assign_weights(self, model: keras.Model) -> None:
        """Assigns each weight to one row: the innermost, then the first."""
        seen: set[int] = set()
        layers = [
            row
            for row in self.rows.values()
            if isinstance(row.target, keras.layers.Layer)
        ]
        layers.sort(key=lambda row: sum(1 for _ in walk_layers(row.target)))
        for row in layers:
            layer = row.target
            own = layer.weights if _is_core(layer) else own_variables(layer)
            row.weights = _unseen(own, seen)
        # Layers that the forward pass never calls hold weights, too.
        for layer in walk_layers(model):
            if weights := _unseen(own_variables(layer), seen):
                row = self.rows.setdefault(id(layer), _Row(layer, layer.name))
                row.weights = weights


def execution_rate(node: GraphNode, training: bool) -> float:
    """Returns the mean number of executions of a call per call of the model.

    Layers that run inner layers conditionally define
    `netopt_execution_rates(training)`, a dictionary by the `id` of a layer.
    The result is the product of the rates of all owners: 1.0 for unconditional
    calls.
    """
    rate = 1.0
    chain = [*node.owners, node.operation]
    for owner, inner in itertools.pairwise(chain):
        rates = getattr(owner, "netopt_execution_rates", None)
        if rates is not None:
            rate *= rates(training).get(id(inner), 1.0)
    return rate


def _unseen(weights: Any, seen: set[int]) -> list[keras.Variable]:
    fresh = [v for v in weights if id(v) not in seen]
    seen.update(id(v) for v in fresh)
    return fresh


def _row_target(node: GraphNode) -> tuple[keras.Operation, str]:
    """Returns the layer whose row a call belongs to, and its path.

    Calls inside a Keras layer belong to that layer.
    """
    chain = [*node.owners, node.operation]
    names = [owner.name for owner in chain]
    for k, owner in enumerate(chain):
        if k > 0 and _is_core(owner):
            if not isinstance(owner, keras.layers.Layer):
                break
            return owner, "/".join(names[1 : k + 1])
    last, place = chain[-1], len(chain) - 1
    in_graph = place > 0 and is_graph_model(chain[place - 1])
    if not isinstance(last, keras.layers.Layer) and not in_graph:
        place -= 1
    return chain[place], "/".join(names[1 : place + 1]) or names[0]


def _is_core(operation: keras.Operation) -> bool:
    """Whether Keras itself defines an operation that is not a model."""
    package = type(operation).__module__.partition(".")[0]
    return package == "keras" and not isinstance(operation, keras.Model)


def _reason(node: GraphNode) -> str:
    kind = type(node.operation).__name__
    if node.untraced is not None:
        return node.untraced
    shapes = (*node.input_shapes, *node.output_shapes)
    free = any(axis is None for shape in shapes for axis in shape)
    if free or node.repeat is None:
        return "an axis has no size; pass `input_shape=`"
    return f"no rule for {kind}"


def batch_size(nodes: Sequence[GraphNode]) -> int:
    """Returns the batch size of listed calls; the last one is the model."""
    shapes = nodes[-1].input_shapes
    return (shapes[0][0] if shapes and shapes[0] else None) or 1


def _macs_per_sample(row: _Row, batch: int) -> tuple[int | None, list[str]]:
    """Returns the MACs of one sample, or `None` and the reasons."""
    reasons = sorted(set(row.reasons))
    if isinstance(row.macs, int) and row.macs % batch:
        reasons.append(f"{row.macs} MACs for a batch of {batch}")
    return None if reasons else round(row.macs / batch), reasons


def _layer_cost(row: _Row, batch: int) -> LayerCost:
    macs, reasons = _macs_per_sample(row, batch)
    params, zeros = count_zeros(row.target, row.weights)
    return LayerCost(
        name=row.name,
        kind=type(row.target).__name__,
        output_shapes=row.output_shapes,
        params=params,
        nonzero=params - zeros,
        bytes=sum(math.prod(v.shape) * itemsize(v) for v in row.weights),
        macs=macs,
        calls=row.calls,
        note="; ".join(reasons),
    )
