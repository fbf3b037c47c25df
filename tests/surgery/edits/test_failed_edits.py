"""An edit that fails leaves no trace: a fault is planted at every stage."""

import keras
import numpy as np
import pytest

from keras_netopt import surgery
from keras_netopt.graph import insert_block
from keras_netopt.graph.layers import walk_layers
from keras_netopt.graph.model_graph import has_graph, inner_graph
from keras_netopt.graph.recorded_calls import list_calls
from keras_netopt.surgery.edits.edit_history import EditHistory
from keras_netopt.surgery.edits.edit_recorder import EditRecorder
from keras_netopt.surgery.handlers.dense import DenseHandler
from keras_netopt.training import MaskStore, editing, related_models, slots
from keras_netopt.training.optimizers import all_optimizers

layers = keras.layers


@keras.saving.register_keras_serializable("failed_edits")
class Net(keras.Model):
    """A graph that is rebuilt from its arguments."""

    def __init__(self, width=6, **kwargs):
        x = inputs = keras.Input((4,))
        for name in ("a", "b", "c"):
            x = layers.Dense(width, activation="relu", name=name)(x)
            x = layers.BatchNormalization(name=f"{name}_norm")(x)
        super().__init__(inputs, layers.Dense(2, name="out")(x), **kwargs)
        self.width = width

    def get_config(self):
        return {"name": self.name, "width": self.width}


class Fault(RuntimeError):
    pass


def fail_after(function):
    def failing(*args, **kwargs):
        function(*args, **kwargs)
        raise Fault

    return failing


STAGES = {
    "attributes": (DenseHandler, "update_attributes"),
    "shapes": (layers.Dense, "compute_output_spec"),
    "slots": (slots, "restore_slots"),
    "masks": (MaskStore, "remap"),
    "graph": (insert_block, "_rebuild_graph"),
    "record": (EditRecorder, "finish"),
    "history": (EditHistory, "record"),
    "commit": (editing, "commit_variables"),
    "functions": (editing, "reset_compiled_functions"),
    "other models": (related_models.TrainedRelative, "update"),
}
EDITS = {
    "remove": lambda net: surgery.remove(net, {"a": [1], "b": [0, 3]}),
    "widen": lambda net: surgery.widen(net, "b", add=2),
    "deepen": lambda net: surgery.deepen(net, "a", copies=2),
    "prune": lambda net: surgery.prune_channels(net, 0.5, min_channels=1),
}
# What an edit does not do: deepening resizes nothing, the others insert
# nothing.
NOT_REACHED = {("deepen", "attributes"), ("deepen", "shapes")}
NOT_REACHED |= {(name, "graph") for name in EDITS if name != "deepen"}


def describe(value):
    """A container by its content, a plain value by itself, else by identity."""
    if isinstance(value, dict):
        return {key: describe(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [describe(one) for one in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return id(value)


def state(model):
    """All that an edit may change in a model, down to single bits."""
    history, found = EditHistory.of(model), {}
    parts = list(walk_layers(model))
    parts += [inner_graph(one) for one in parts if has_graph(one)]
    nodes = [
        call.recorded
        for one in parts
        if has_graph(one)
        for call in list_calls(one)
    ]
    optimizer = getattr(model, "optimizer", None)
    for one in all_optimizers(optimizer) if optimizer else ():
        parts += [one, *one.variables]
    for k, one in enumerate([*parts, *nodes, *model.variables]):
        found[k, type(one).__name__] = {
            name: describe(value)
            for name, value in vars(one).items()
            # Arrays of JAX that an edit frees are made again.
            if name != "_value" or keras.backend.backend() != "jax"
        }
    for k, node in enumerate(nodes):
        found["tensors", k] = [tensor.shape for tensor in node.outputs]
    variables = [*model.variables]
    variables += optimizer.variables if optimizer else []
    for k, variable in enumerate(variables):
        array = np.array(keras.ops.convert_to_numpy(variable))
        found["bits", k] = (array.shape, array.tobytes())
    found["history"] = (list(history.edits), history.params)
    return found


def list_differences(old, new):
    """Names what differs, down to the attribute."""
    found = [key for key in {*old, *new} if old.get(key) != new.get(key)]
    return [
        (key, [k for k in {*one, *other} if one.get(k) != other.get(k)])
        if isinstance(one := old.get(key), dict)
        and isinstance(other := new.get(key), dict)
        else key
        for key in found
    ]


@pytest.fixture(scope="module")
def fitted():
    """A fitted model with masks, inside a fitted model; and its data."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8, 4)).astype("float32")
    y = rng.normal(size=(8, 2)).astype("float32")
    net = Net()
    outer = keras.Sequential([keras.Input((4,)), net, layers.Dense(2)])
    for model in (net, outer):
        model.compile("adam", "mse")
        if model is net:
            kernel = net.get_layer("b").kernel
            MaskStore.attach(net, {"b/kernel": kernel})
            mask = rng.random(kernel.shape) < 0.7
            MaskStore.of(net).assign({"b/kernel": mask})
        EditHistory.of(model)
        model.fit(x, y, verbose=0)
        model.predict(x, verbose=0)
    return net, outer, (x, y)


@pytest.mark.parametrize(
    ("name", "stage"),
    [(a, b) for a in EDITS for b in STAGES if (a, b) not in NOT_REACHED],
)
def test_a_fault_leaves_no_trace(fitted, monkeypatch, name, stage):
    net, outer, _ = fitted
    before = [state(model) for model in (net, outer)]
    owner, attribute = STAGES[stage]
    function = getattr(owner, attribute)
    monkeypatch.setattr(owner, attribute, fail_after(function), raising=False)
    with pytest.raises(Fault):
        EDITS[name](net)
    monkeypatch.undo()
    assert type(net) is Net
    for model, old in zip((net, outer), before, strict=True):
        assert list_differences(old, state(model)) == []


def test_training_goes_on_after_faults_without_a_new_trace(fitted, monkeypatch):
    net, outer, (x, y) = fitted
    functions = [model.train_function for model in (net, outer)]
    expected = net.predict(x, verbose=0)
    with monkeypatch.context() as patch:
        patch.setattr(slots, "restore_slots", fail_after(slots.restore_slots))
        with pytest.raises(Fault):
            surgery.remove(net, {"a": [1]})
    np.testing.assert_array_equal(net.predict(x, verbose=0), expected)
    for model, function in zip((net, outer), functions, strict=True):
        kernel = net.get_layer("a").kernel
        old = np.array(keras.ops.convert_to_numpy(kernel))
        model.fit(x, y, verbose=0)
        assert model.train_function is function
        assert (keras.ops.convert_to_numpy(kernel) != old).any()


def test_a_fault_in_the_second_of_two_edits_takes_back_both(monkeypatch):
    net = Net()
    before = state(net)
    with pytest.raises(ValueError, match="'a' would lose all"):
        with editing.editing(net):
            surgery.widen(net, "b", add=2)
            surgery.remove(net, {"a": [0, 1, 2, 3, 4, 5]})
    assert list_differences(before, state(net)) == []


def test_a_caught_fault_keeps_the_edits_around_it(monkeypatch):
    net = Net()
    with editing.editing(net):
        surgery.widen(net, "b", add=2)
        with monkeypatch.context() as patch:
            patch.setattr(EditHistory, "record", fail_after(EditHistory.record))
            with pytest.raises(Fault):
                surgery.widen(net, "a", add=3)
    assert (net.get_layer("a").units, net.get_layer("b").units) == (6, 8)
    assert len(EditHistory.of(net).edits) == 1
