"""Ops of `keras.ops`: cut and copied exactly, or protected with a reason."""

import re

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops
from surgery.handlers.op_families import (
    FAMILIES,
    RESHAPES,
    fused_heads,
    grouped_heads,
    heads_of_dense,
    sequences_of_heads,
)

from keras_netopt import surgery
from keras_netopt.surgery.channels.channel_graph import ChannelGraph
from keras_netopt.surgery.handler_registry import find_handler
from keras_netopt.surgery.handlers.elementwise import ElementwiseHandler
from keras_netopt.surgery.handlers.merging import MergeOpHandler


@pytest.mark.parametrize(
    "family", FAMILIES + RESHAPES, ids=lambda f: f.__name__
)
def test_units_of_ops_are_removed_copied_and_put_back(
    family, check_removal, check_growth, check_undone
):
    model, data = family()
    check_undone(model, data, 0)
    check_removal(model, data)
    check_growth(model, data)


def behind(function, width=6, shape=(4,)):
    """Why no unit of a Dense layer before this function may change."""
    x = L.Input(shape)
    y = function(L.Dense(width, name="made")(x))
    graph = ChannelGraph(keras.Model(x, L.Dense(2)(L.Flatten()(y))))
    return graph.layer_group("made").reason


def test_heads_are_cut_where_one_layer_makes_the_entries_of_all():
    """Not the entries: these are multiplied and added up."""
    heads = [
        (heads_of_dense, 4),
        (fused_heads, 4),
        (grouped_heads, 2),
        (sequences_of_heads, 6),
    ]
    for family, expected in heads:
        model, _ = family()
        first = next(one for one in model.layers if isinstance(one, L.Dense))
        graph = ChannelGraph(model)
        free = np.unique(graph.units(first))
        assert len(free) == expected, family.__name__
        assert not set(free) & set(graph.protected)


CONSTANT = np.linspace(1, 2, 6, dtype="float32")


@pytest.mark.parametrize(
    "function",
    [
        lambda y: y * CONSTANT,
        lambda y: ops.power(y, CONSTANT),
        lambda y: ops.where(CONSTANT > 1.5, y, 0.0),
        lambda y: ops.clip(y, -CONSTANT, 1.0),
        lambda y: ops.matmul(y, np.ones((6, 2), "float32")),
        lambda y: ops.einsum("be,fe->bf", y, np.ones((2, 6), "float32")),
        lambda y: ops.einsum("be,e->be", y, CONSTANT),
        lambda y: ops.dot(y, CONSTANT[:, None]),
        lambda y: ops.layer_normalization(y, CONSTANT, CONSTANT),
    ],
)
def test_a_constant_protects_the_channels_it_has_entries_for(function):
    assert "meets a constant of shape (" in behind(function)


def test_a_constant_with_entries_for_other_axes_or_one_entry_is_free():
    scale = np.ones((5, 1), "float32")
    reason = behind(
        lambda y: (y * scale + np.ones((1, 1, 1), "float32")) * 2.0,
        shape=(5, 4),
    )
    assert reason is None


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda y: ops.cumsum(y, axis=-1), "adds up or multiplies channels"),
        (lambda y: ops.roll(y, 1, axis=-1), "rotates channels"),
        (lambda y: ops.top_k(y, 3)[0], "sorts channels"),
        (lambda y: ops.argmax(y, axis=-1, keepdims=True), "reduces over"),
        (lambda y: ops.norm(y, axis=-1, keepdims=True), "reduces over"),
        (lambda y: ops.normalize(y), "normalizes over channels"),
        (lambda y: ops.unstack(y, axis=-1)[0], "takes each channel alone"),
        (lambda y: ops.take(y, [0, 1], axis=-1), "takes some of the channels"),
        (lambda y: y[..., :3], "takes some of the channels"),
        (lambda y: y[..., :6], "takes some of the channels"),
        (lambda y: y[..., 1:], "takes some of the channels"),
        (lambda y: y[..., ::4], "takes some of the channels"),
        (lambda y: y[..., -1], "takes some of the channels"),
        (lambda y: ops.slice(y, (0, 0, 2), (1, 5, 4)), "takes some of the"),
        (lambda y: ops.repeat(y, [1, 2, 1, 1, 1, 1], axis=-1), "repeats some"),
        (lambda y: ops.repeat(y, 2), "flattens its input"),
        (lambda y: ops.einsum("bte->bt", y), "adds its channels up"),
        (lambda y: ops.split(y, [2], axis=-1)[0], "splits channels at fixed"),
        (lambda y: ops.split(y, [3, 5], axis=-1)[0], "splits channels at"),
    ],
)
def test_ops_that_mix_or_pick_channels_protect_them(function, reason):
    found = behind(function, shape=(5, 4))
    assert found.startswith("touches ")
    assert f", which {reason}" in found


def test_only_the_axis_that_an_op_mixes_is_protected():
    x = L.Input((5, 6))
    y = L.EinsumDense("btd,dhk->bthk", (5, 4, 3), name="made")(x)
    y = y / ops.sqrt(ops.mean(ops.square(y), axis=-1, keepdims=True) + 1e-3)
    y = ops.softmax(ops.pad(y, [[0, 0], [0, 0], [0, 0], [1, 1]]))
    y = L.EinsumDense("bthk,hkm->btm", (5, 2))(y)
    graph = ChannelGraph(keras.Model(x, y))
    assert len(graph.layer_group("made", "h").free) == 4
    reason = graph.layer_group("made").reason
    assert re.fullmatch(
        r"touches Mean 'mean\w*', which reduces over channels", reason
    )


def test_a_product_of_two_tensors_changes_when_a_unit_goes():
    """The units of both towers are coupled; only removal is possible."""
    x = L.Input((4,))
    one, other = (L.Dense(6, name=name)(x) for name in ("one", "other"))
    y = ops.einsum("be,be->b", one, other)
    graph = ChannelGraph(keras.Model(x, L.Dense(2)(y[:, None])))
    group = graph.layer_group("one")
    assert {layer.name for layer in group.layers} == {"one", "other"}
    assert group.reason is None
    assert group.normalized_by.startswith("Einsum 'einsum")
    assert group.not_replicable.startswith("is multiplied and added up by ")


def test_equal_sections_at_written_positions_follow_the_cut():
    x = L.Input((4,))
    parts = ops.split(L.Dense(9, name="made")(x), [3, 6], axis=-1)
    model = keras.Model(x, L.Dense(2)(parts[0] * parts[1] + parts[2]))
    surgery.remove(model, {"made": [0]})
    split = next(
        one for one in model.operations if type(one).__name__ == "Split"
    )
    assert split.indices_or_sections == (2, 4)


@pytest.mark.parametrize(
    ("activation", "is_free"),
    [
        (lambda y: y * ops.sigmoid(1.7 * y), True),
        (lambda y: y, True),
        (lambda y: y * CONSTANT, False),
        (lambda y: y + np.ones((1, 1), "float32"), True),
        (lambda y: y - ops.mean(y, axis=-1, keepdims=True), False),
        (lambda y: y[..., ::-1], False),
        (lambda y: ops.clip(y, -CONSTANT, 1.0), False),
        (lambda y: np.tanh(y), False),
        (L.PReLU(), False),
    ],
)
def test_an_activation_of_ops_is_traced(activation, is_free):
    x = L.Input((4,))
    y = L.Dense(6, activation=activation, name="made")(x)
    graph = ChannelGraph(keras.Model(x, L.Dense(2)(y)))
    assert (graph.layer_group("made").reason is None) == is_free


def test_a_traced_activation_leaves_the_automatic_names_alone():
    x = L.Input((4,))
    keras.utils.set_random_seed(0)
    y = L.Dense(6, activation=lambda y: y * ops.sigmoid(y))(x)
    model = keras.Model(x, L.Dense(2)(y))
    before = ops.sigmoid(x).name
    ChannelGraph(model)
    number = int(before.rpartition("_")[2])
    assert ops.sigmoid(x).name == f"keras_tensor_{number + 1}"


VALUES = np.array([[0.3, -0.8, 1.6], [0.9, -0.2, 0.5]])
# Ops that keep an array of two axes as it is, or make complex numbers.
LIKE = {
    *("Concatenate", "Hstack", "Vstack", "Stack", "Unstack", "Squeeze", "View"),
    *("FullLike", "Polar"),
}
DTYPES = ("float32", "int32", "bool")


def acts_alone(op, count):
    """Whether each entry of the result depends on the same entry alone.

    `None` if the op does not take `count` tensors, or is constant.
    """
    other = VALUES.copy()
    other[0, 0] = -2.3
    for dtype in DTYPES:
        try:
            one, two, turned = (
                ops.convert_to_numpy(op().call(*[ops.array(x, dtype)] * count))
                for x in (3 * VALUES, 3 * other, 3 * VALUES[::-1, ::-1])
            )
        except Exception:  # Each op refuses other inputs in its own way.
            continue
        if one.shape != VALUES.shape or turned.shape != VALUES.shape:
            return None
        moved = (one != two) & ~(np.isnan(one) & np.isnan(two))
        is_local = not moved.ravel()[1:].any()
        is_local &= np.array_equal(turned, one[::-1, ::-1], equal_nan=True)
        return is_local if moved.any() or not is_local else None
    return None


@pytest.mark.no_backend
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("count", "handler"), [(1, ElementwiseHandler), (2, MergeOpHandler)]
)
def test_every_elementwise_op_of_keras_has_a_handler(count, handler):
    names = ("numpy", "nn", "math", "core")
    wrong = []
    for module in [getattr(keras.src.ops, name) for name in names]:
        for op in vars(module).values():
            if not (isinstance(op, type) and issubclass(op, keras.Operation)):
                continue
            found, is_alone = (
                find_handler(op.__new__(op)),
                acts_alone(op, count),
            )
            if is_alone is not None and is_alone != isinstance(found, handler):
                wrong.append(op.__name__)
    assert not set(wrong) - LIKE
