"""Failed edits, refused and unknown optimizers, and the report."""

import keras
import numpy as np
import pytest
from training.mask_tools import kernels
from training.slot_tools import (
    CASES,
    array_of,
    assert_trains,
    build,
    cut_and_grow,
    fill,
    multi,
    now,
)

from keras_netopt.surgery.channels.channel_graph import ChannelGraph
from keras_netopt.surgery.edits.apply_plan import apply_plan
from keras_netopt.surgery.edits.edit_plan import EditPlan
from keras_netopt.training import MaskStore, slot_checks, slots

optimizers = keras.optimizers


@pytest.mark.parametrize("name", ["adam", "loss_scale", "multi", "adafactor"])
def test_an_edit_that_fails_half_way_restores_the_optimizer(name, toy_data):
    make = {"multi": multi, "adafactor": optimizers.Adafactor}.get(name)
    model = build((make or CASES[name][0])())
    fill(model)
    store = MaskStore.attach(model, kernels(model))
    before = [array_of(v) for v in model.optimizer.variables]
    weights, masks = model.get_weights(), store.masks()
    graph = ChannelGraph(model)
    copies = np.ones(graph.group_count, "int64")
    copies[graph.units("hidden")[0]] = 2
    plan = EditPlan(graph, copies)
    original, calls = plan.map, []

    def fail(variable, array, kind):
        calls.append(kind)
        if calls.count("gradient2") == 2:
            raise RuntimeError("half way")
        return original(variable, array, kind)

    plan.map = fail
    with pytest.raises(RuntimeError, match="half way"):
        apply_plan(model, graph, plan)

    after = model.optimizer.variables
    assert len(before) == len(after)
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, array_of(new))
    for old, new in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    for key, mask in store.masks().items():
        np.testing.assert_array_equal(mask, masks[key])
    assert_trains(model, toy_data)


def test_training_continues_after_a_failed_edit(toy_data):
    """On TensorFlow the variables are new, so the old step cannot run."""
    model = build("sgd")
    model.compile(optimizers.SGD(0.1, momentum=0.9), model.loss)
    model.fit(*toy_data, batch_size=16, verbose=0)
    graph = ChannelGraph(model)
    copies = np.ones(graph.group_count, "int64")
    copies[graph.units("hidden")[0]] = 2
    plan = EditPlan(graph, copies)
    original = plan.map

    def fail(variable, array, kind):
        if kind == "gradient":
            raise RuntimeError("half way")
        return original(variable, array, kind)

    plan.map = fail
    with pytest.raises(RuntimeError, match="half way"):
        apply_plan(model, graph, plan)
    before = model.get_weights()
    model.fit(*toy_data, batch_size=16, verbose=0)
    for old, new in zip(before, model.get_weights(), strict=True):
        assert not np.array_equal(old, new)


class Lists(optimizers.Optimizer):
    """Slots in lists, one of them in another shape."""

    def __init__(self, **kwargs):
        super().__init__(learning_rate=0.1, **kwargs)
        self.beats = keras.Variable(3.0, name="beats")

    def build(self, variables):
        super().build(variables)
        self.trails = self.add_optimizer_variables(variables, "trail")
        self.norms = [self.add_variable((), name="norm") for _ in variables]

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        self.assign_add(self.trails[index], gradient)
        self.assign_add(self.norms[index], keras.ops.sum(gradient))
        self.assign_sub(variable, gradient * 0.01)


class Dicts(Lists):
    """Slots in a dictionary, which is not supported."""

    def build(self, variables):
        super(type(self), self).build(variables)
        self.by_name = {
            v.path: self.add_variable(v.shape, name="hidden") for v in variables
        }


def test_slots_of_an_unknown_optimizer_are_treated_as_gradients(toy_data):
    model = build(Lists())
    beats = model.optimizer.beats
    held = fill(model)
    plan, report = cut_and_grow(model)
    found = now(model)

    for (name, key), (variable, before) in held.items():
        if name == "trails":
            expected = plan.map(variable, before, "gradient")
        else:
            expected = 0.0 if plan.changes(variable) else before
        np.testing.assert_array_equal(found[name, key], expected)
    assert report.guessed == ("norms", "trails")
    changed = [v.path for v, _ in held.values() if plan.changes(v)]
    assert len(report.reset) == len(changed) / 2
    assert "norms of sequential" in str(report).replace("_1", "")
    assert model.optimizer.beats is beats
    assert model.optimizer.variables[2] is beats
    assert_trains(model, toy_data)


class OwnAdam(optimizers.Adam):
    """A subclass of a Keras optimizer with an unsupported slot."""

    build = Dicts.build


@pytest.mark.parametrize("kind", [Dicts, OwnAdam])
def test_unknown_optimizer_variables_are_refused(kind):
    model = build(kind())
    paths = [v.path for v in model.optimizer.by_name.values()]
    with pytest.raises(ValueError) as caught:
        slot_checks.check_optimizer(model, zero_outgoing=False)

    assert str(caught.value) == (
        f"The optimizer {kind.__name__} has unknown variables, expected "
        "attributes with a list of one variable per trainable variable, as "
        "`add_optimizer_variables` returns it. "
        f"Received: {paths}"
    )


def test_ftrl_is_refused():
    model = build(optimizers.Ftrl())
    with pytest.raises(ValueError) as caught:
        slot_checks.check_optimizer(model, zero_outgoing=False)

    assert str(caught.value) == (
        "A model with the optimizer Ftrl does not support this edit: its "
        "slots define the weights, so the next step would overwrite the "
        "edited weights. Compile the model with another optimizer. "
        f"Received: optimizer='{model.optimizer.name}'"
    )


def test_adafactor_is_refused_with_zero_outgoing_weights():
    model = build(optimizers.LossScaleOptimizer(optimizers.Adafactor()))
    slot_checks.check_optimizer(model, zero_outgoing=False)
    with pytest.raises(ValueError) as caught:
        slot_checks.check_optimizer(model, zero_outgoing=True)

    assert str(caught.value) == (
        "A model with the optimizer Adafactor does not support this edit: a "
        "weight matrix with a row and a column of zero gradients becomes "
        "NaN, and new weights of zero produce such gradients. Widen "
        'with new_units="net2net", deepen with init="identity", or compile '
        "with another optimizer. Received: "
        f"optimizer='{model.optimizer.name}'"
    )


def test_a_model_without_an_optimizer_is_not_refused():
    """Nor are the others: test_slots.py."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    slot_checks.check_optimizer(model, zero_outgoing=True)


def test_an_optimizer_that_is_not_built_has_no_slots():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    assert slots.capture_slots(model) is None
    model.compile("adam", "mse")
    assert slots.capture_slots(model) is None
    model.optimizer.build(model.trainable_variables)
    assert slots.capture_slots(model) is not None


def test_the_report_prints_all_counts():
    report = slots.SlotReport(
        {"gradient": 2, "weight": 1}, 3, ("_c of dense/kernel",), ("trails",)
    )
    assert str(report) == (
        "Optimizer slots: carried 2 gradient, 1 weight; 3 new; reset _c of "
        "dense/kernel; treated as gradients trails."
    )
    assert str(slots.SlotReport()) == "Optimizer slots: carried none."
