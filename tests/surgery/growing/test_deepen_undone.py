"""Deepening tried, replayed, failed and taken back."""

import json

import keras
import numpy as np
import pytest
from surgery.conftest import EAGER, stir
from surgery.growing.deepen_nets import (
    answers,
    array_of,
    assert_like_reloaded,
    cnn,
    data,
    mlp,
    nested,
)

from keras_netopt import surgery
from keras_netopt.graph.insert_block import insert_block
from keras_netopt.graph.recorded_calls import is_model_output, list_all_calls
from keras_netopt.surgery.growing.deepen import deepen
from keras_netopt.training import slots

layers = keras.layers


def test_names_are_numbered_consecutively(tmp_path):
    model = mlp()
    for _ in range(2):
        deepen(model, "hidden")
    deepen(model, "hidden", copies=2)
    names = [layer.name for layer in model.layers]

    assert names == [
        "hidden",
        *(f"hidden_deeper{k}" for k in (3, 4, 2, 1)),
        "second",
        "out",
    ]
    assert len({v.path for v in model.weights}) == len(model.weights)
    assert_like_reloaded(model, tmp_path)


def test_a_dry_run_changes_nothing():
    model = stir(cnn())
    weights, names = model.get_weights(), [v.path for v in model.variables]
    dry = deepen(model, "conv", copies=2, dry_run=True)

    assert dry.dry_run and [v.path for v in model.variables] == names
    for one, two in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    real = deepen(model, "conv", copies=2)
    assert (dry.before, dry.after) == (real.before, real.after)
    assert dry.inserted == real.inserted and dry.edit == real.edit


def test_replay_leads_to_the_same_model():
    model = nested()
    edits = [
        deepen(model, "head/fc", copies=2).edit,
        deepen(model, "enc", init="gaussian", seed=3).edit,
        deepen(model, "head/fc_deeper2/fc_deeper2_first").edit,
    ]
    again = nested()
    assert surgery.replay(again, json.loads(json.dumps(edits))) == 3
    for one, two in zip(model.weights, again.weights, strict=True):
        assert one.name == two.name
        np.testing.assert_array_equal(array_of(one), array_of(two))


class Fails(RuntimeError):
    pass


def test_a_failed_edit_leaves_the_model_unchanged(monkeypatch):
    model = stir(cnn(run_eagerly=EAGER))
    x, y = data(model)
    graph = structure(model)
    state = [array_of(v) for v in model.optimizer.variables]
    before = surgery.snapshot(model, x)

    def fail(*args):
        monkeypatch.undo()
        slots.restore_slots(*args)
        raise Fails

    monkeypatch.setattr("keras_netopt.training.slots.restore_slots", fail)
    with pytest.raises(Fails):
        deepen(model, "conv", copies=2)

    assert structure(model) == graph
    assert surgery.check_preserved(before, model).max_abs == 0.0
    for old, new in zip(state, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(old, array_of(new))
    kernel = model.get_layer("conv").kernel
    old = array_of(kernel)
    model.fit(x, y, verbose=0)
    assert np.abs(array_of(kernel) - old).max() > 0


def structure(model):
    """The attributes that an insertion changes, as text."""
    return json.dumps(
        [
            model.get_config(),
            [v.path for v in model.variables],
            [layer.name for layer in model._layers],
            [
                [len(call.operation._outbound_nodes), call.operation.name]
                for call in list_all_calls(model)
            ],
        ],
        default=str,
    )


@pytest.mark.parametrize("build", [mlp, cnn, nested])
def test_an_insertion_can_be_undone(build):
    model = build()
    graph = structure(model)
    for place in list(list_all_calls(model)):
        if place.is_input or is_model_output(place):
            continue
        added, undo = insert_block(place, layers.Activation("tanh", name="new"))
        assert [one.name for one in added] == ["new"]
        assert structure(model) != graph
        (new,) = added
        undo()
        assert structure(model) == graph
        assert not new._inbound_nodes
    assert_like_reloaded_shapes(model)


def assert_like_reloaded_shapes(model):
    clone = keras.models.clone_model(model)
    assert [v.shape for v in clone.weights] == [v.shape for v in model.weights]


def test_the_best_weights_of_early_stopping_can_be_carried_over():
    from keras_netopt.training.editing import editing

    model = mlp()
    x, _ = data(model)
    kept = [w + 0.1 for w in model.get_weights()]
    model.set_weights(kept)
    best = answers(model, x)
    model.set_weights([w - 0.3 for w in kept])
    with editing(model) as changes:
        deepen(model, "hidden")
    (change,) = changes
    model.set_weights(change.map_weights(kept))
    np.testing.assert_allclose(answers(model, x), best, atol=1e-6)
