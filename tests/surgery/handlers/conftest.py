"""Cuts and copies channels of small models and compares the outputs."""

import keras
import numpy as np
import pytest

from keras_netopt.graph.read_value import to_numpy
from keras_netopt.surgery.channels.channel_graph import ChannelGraph
from keras_netopt.surgery.coupled_axis import IN
from keras_netopt.surgery.edits.edit_plan import EditPlan
from keras_netopt.surgery.update_shapes import update_model_shapes
from keras_netopt.training.replace_value import replace_value


@pytest.fixture(autouse=True)
def quick_weights(monkeypatch):
    """JAX compiles an initializer anew for every shape; all is drawn later."""

    def zeros(self, shape, dtype=None):
        return keras.ops.convert_to_tensor(np.zeros(shape, dtype or "float32"))

    for name in ("VarianceScaling", "Orthogonal", "RandomUniform"):
        monkeypatch.setattr(
            getattr(keras.initializers, name), "__call__", zeros
        )


def randomize(model, seed=0):
    """Weights that let every channel matter, statistics included."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if "seed" in weight.name:
            continue
        shape = tuple(weight.shape)
        value = rng.normal(0, 0.5, shape)
        if "variance" in weight.name:
            value = rng.uniform(0.5, 1.5, shape)
        if weight.name in ("gamma", "scale"):
            value = rng.uniform(0.5, 1.5, shape)
        weight.assign(value.astype(weight.dtype))


def run(model, data):
    for layer in model.layers:
        if getattr(layer, "stateful", False):
            layer.reset_state()
    if keras.backend.backend() != "jax":
        return model(data, training=False)
    import jax  # One compilation is faster than one for each op.

    values = [
        [v.value for v in model.trainable_variables],
        [v.value for v in model.non_trainable_variables],
    ]
    return jax.jit(model.stateless_call)(*values, data)[0]


def outputs(model, data):
    flat = keras.tree.flatten(run(model, data))
    return [np.array(keras.ops.convert_to_numpy(y), "float64") for y in flat]


def rounding():
    """What a rebuilt model may differ by from one that was edited.

    On PyTorch a freshly built recurrent kernel lies transposed in memory, so
    that its products are summed in another order.
    """
    return 1e-6 if keras.backend.backend() == "torch" else 0.0


def distance(ones, others):
    return max(np.abs(a - b).max() for a, b in zip(ones, others, strict=True))


def tolerance(arrays):
    return 1e-5 * max(1.0, *(np.abs(a).max() for a in arrays))


def edit(model, graph, copies, **plan_options):
    """The edit without optimizer, masks and compiled functions."""
    plan = EditPlan(graph, copies, **plan_options)
    bound = {id(b.variable): b.variable for b in graph.coupled_axes}
    new = [(v, plan.map(v, to_numpy(v), "weight")) for v in bound.values()]
    for variable, value in new:
        replace_value(variable, value)
    update_model_shapes(model)
    return plan


def zero_inputs(graph, groups):
    """Zeroes all weights that read the units of these groups."""
    for coupled_axis in graph.coupled_axes:
        gone = np.isin(graph.group_of[coupled_axis.ids], groups)
        if coupled_axis.role == IN and gone.any():
            value = to_numpy(coupled_axis.variable)
            index = [slice(None)] * value.ndim
            index[coupled_axis.axis] = np.flatnonzero(gone)
            value[tuple(index)] = 0.0
            coupled_axis.variable.assign(value)


def assert_same_when_rebuilt(model, data, path, expected):
    model.save(path)
    reloaded = keras.saving.load_model(path, safe_mode=False)
    assert distance(outputs(reloaded, data), expected) <= rounding()
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    assert distance(outputs(clone, data), expected) <= rounding()
    shapes = [tuple(w.shape) for w in model.weights]
    assert [tuple(w.shape) for w in reloaded.weights] == shapes


def half_of(graph, *, inexact=False, seed=0):
    """Half of the free groups of every set of layers."""
    rng = np.random.default_rng(seed)
    chosen = []
    for layers in graph.layer_groups():
        free = layers.free
        if not inexact:
            free = np.array(
                [c for c in free if c not in graph.normalized_by], int
            )
        count = len(free) // 2 if len(free) == len(layers.groups) else 0
        chosen.extend(rng.permutation(free)[: max(count, 0)].tolist())
    return np.array(sorted(set(chosen)), int)


@pytest.fixture
def check_removal(tmp_path):
    def check(model, data, *, groups=None, is_rebuilt=True):
        randomize(model)
        graph = ChannelGraph(model)
        groups = half_of(graph) if groups is None else groups
        assert len(groups)
        assert all(str(graph.explain(key)) for key in graph.producers)
        held = [(v, id(v)) for v in model.weights]
        before = outputs(model, data)
        zero_inputs(graph, groups)
        expected = outputs(model, data)
        assert distance(before, expected) > 1e-2
        copies = np.ones(graph.group_count, int)
        copies[groups] = 0
        params = model.count_params()
        edit(model, graph, copies)
        assert model.count_params() < params
        after = outputs(model, data)
        assert distance(after, expected) <= tolerance(expected)
        assert [(v, id(v)) for v in model.weights] == held
        if is_rebuilt:
            path = str(tmp_path / "cut.keras")
            assert_same_when_rebuilt(model, data, path, after)
        return graph

    return check


@pytest.fixture
def check_growth(tmp_path):
    def check(model, data, *, multiple=False):
        randomize(model)
        graph = ChannelGraph(model)
        rng = np.random.default_rng(1)
        copies = np.ones(graph.group_count, int)
        free = [c for s in graph.layer_groups() for c in s.free]
        for one in sorted(set(map(int, free)) - set(graph.not_replicable)):
            if multiple:
                copies[one] = 2
            elif one not in graph.normalized_by:
                copies[one] = rng.integers(1, 4)
        assert (copies > 1).any()
        shares = {}
        for one in np.flatnonzero(copies > 1).tolist():
            share = rng.uniform(0.3, 0.7, copies[one])
            shares[one] = share / share.sum()
        expected = outputs(model, data)
        params = model.count_params()
        edit(model, graph, copies, shares=shares)
        assert model.count_params() > params
        after = outputs(model, data)
        assert distance(after, expected) <= tolerance(expected)
        assert max(np.ptp(y, axis=0).max() for y in after) > 1e-2
        path = str(tmp_path / "grown.keras")
        assert_same_when_rebuilt(model, data, path, after)
        return graph

    return check


def description(model):
    """All that a model tells of its widths: attributes, shapes, builds."""
    parts = [keras.saving.serialize_keras_object(model)]
    for layer in model._flatten_layers():
        parts.append(layer.get_build_config())
        spec = getattr(layer, "input_spec", None)
        parts.append(repr(spec))
        for node in getattr(layer, "_inbound_nodes", ()):
            parts.append([tuple(t.shape) for t in node.outputs])
    return repr(parts)


@pytest.fixture
def check_undone():
    """A cut, or growth, that is taken back leaves no trace."""

    def check(model, data, times):
        randomize(model)
        graph = ChannelGraph(model)
        copies = np.ones(graph.group_count, int)
        if times:
            free = [c for layers in graph.layer_groups() for c in layers.free]
            copies[sorted(set(free) - set(graph.not_replicable))] = times
        else:
            copies[half_of(graph, inexact=True)] = 0
        told, expected = description(model), outputs(model, data)
        bound = {id(b.variable): b.variable for b in graph.coupled_axes}
        held = [(v, to_numpy(v)) for v in bound.values()]
        edit(model, graph, copies)
        assert description(model) != told
        for variable, value in held:
            replace_value(variable, value)
        update_model_shapes(model)
        assert description(model) == told
        assert distance(outputs(model, data), expected) <= rounding()

    return check


@pytest.fixture
def check_edit(tmp_path):
    """Some groups go, some are copied, in one plan."""

    def check(model, data, *, seed):
        randomize(model, seed)
        graph = ChannelGraph(model)
        rng = np.random.default_rng(seed)
        gone = half_of(graph, seed=seed)
        gone = gone[rng.random(len(gone)) < 0.7]
        copies = np.ones(graph.group_count, int)
        for layers in graph.layer_groups():
            for one in set(layers.free.tolist()) - set(graph.not_replicable):
                copies[one] = rng.integers(1, 4)
        copies[gone] = 0
        assert (copies != 1).any()
        shares = {}
        for one in np.flatnonzero(copies > 1).tolist():
            share = rng.uniform(0.3, 0.7, copies[one])
            shares[one] = share / share.sum()
        before = outputs(model, data)
        zero_inputs(graph, gone)
        expected = outputs(model, data)
        assert not len(gone) or distance(before, expected) > 1e-3
        edit(model, graph, copies, shares=shares)
        after = outputs(model, data)
        assert distance(after, expected) <= tolerance(expected)
        path = str(tmp_path / "edited.keras")
        assert_same_when_rebuilt(model, data, path, after)

    return check


@pytest.fixture
def reason_of():
    """Why no unit of a layer may change."""

    def reason(model, layer, kind=""):
        return ChannelGraph(model).layer_group(layer, kind).reason

    return reason
