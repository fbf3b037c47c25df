"""Check 11: re-batched stages equal "run all exits, then select"."""

import math

import keras
import numpy as np
import pytest
from depth.exits.nets import CLASSES, make_data

from keras_netopt.depth import CalibratedExits, add_exits
from keras_netopt.depth.exits import model_stages, stage_runner
from keras_netopt.depth.exits.threshold_search import exit_indices


@pytest.fixture(scope="module")
def logits(trained):
    """Logits of every exit for a thousand samples."""
    x = make_data(1000, seed=2)[0]
    found = trained.predict(x, batch_size=250, verbose=0)
    all_logits = np.stack([found[name] for name in trained.exit_names], axis=1)
    return x, all_logits


def rule(thresholds):
    return stage_runner.ExitRule("confidence", thresholds, False)


def thresholds_at(scores, rate):
    """Thresholds at which each exit takes this share of its samples."""
    if rate in (0.0, 1.0):
        first = math.inf if rate == 0.0 else -math.inf
        return (first, math.inf, -math.inf)
    first = float(np.quantile(scores[:, 0], 1 - rate)) + 1e-5
    inside = scores[:, 0] < first
    return (first, float(np.quantile(scores[inside, 1], 1 - rate)), -math.inf)


@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
def test_rebatching_equals_selection(exits, logits, rate):
    x, all_logits = logits
    softmax = np.exp(all_logits - all_logits.max(-1, keepdims=True))
    softmax = softmax / softmax.sum(-1, keepdims=True)
    scores = softmax.max(-1)
    thresholds = thresholds_at(scores, rate)
    wanted = exit_indices(scores, thresholds)
    sure = np.abs(scores - np.array(thresholds)).min(axis=1) > 1e-5
    for count in (1, 33, 200):
        run = stage_runner.StageRunner(
            exits.stages, rule(thresholds), batch_size=64
        )
        found, left = run.run(x[:count])
        keep = sure[:count]
        assert np.array_equal(left[keep], wanted[:count][keep])
        picked = all_logits[np.arange(count), left]
        np.testing.assert_allclose(found, picked, atol=1e-5)
        reached = [1, (left > 0).any(), (left > 1).any()]
        assert [bool(c) for c in run.calls] == [bool(r) for r in reached]
        for sizes in run.sizes:
            assert len(sizes) <= math.log2(max(count, 2)) + 2


def test_predictions_are_in_input_order_across_windows(exits, logits):
    x, all_logits = logits
    scores = np.exp(all_logits) / np.exp(all_logits).sum(-1, keepdims=True)
    thresholds = thresholds_at(scores.max(-1), 0.3)
    small = stage_runner.StageRunner(
        exits.stages, rule(thresholds), batch_size=32
    )
    found, left = small.run(x)
    assert small.window < len(x) < 2 * small.window
    np.testing.assert_allclose(
        found, all_logits[np.arange(len(x)), left], atol=1e-5
    )
    assert len(set(left)) == 3


def test_skip_connections_become_stage_inputs(exits):
    first, second, last = exits.stages.stages
    assert first.inputs == ("image",)
    assert len(last.inputs) == 2  # With the skip connection.
    assert set(last.inputs) <= set(second.live)
    assert first.features[0] in last.inputs
    assert last.features == () and last.live == ()


def test_padding_is_to_powers_of_two():
    padded = stage_runner.padded_batch_size
    assert [padded(n, 256) for n in (1, 32, 33, 129)] == [32, 32, 64, 256]
    assert padded(90, 100) == 100
    assert padded(5, 8) == 8


def test_the_full_model_is_used_if_the_stages_are_slower(
    exits, held_out, logits, monkeypatch
):
    x, all_logits = logits
    exits = CalibratedExits(
        exits.exit_model, exits.calibration, validation_data=held_out
    )
    monkeypatch.setattr(
        "keras_netopt.depth.exits.calibrated_exits.time_stages",
        lambda *_: (2.0, 1.0),
    )
    with pytest.warns(UserWarning, match="so the full model is used"):
        found, left = exits.predict(x[:40], return_exits=True)
    np.testing.assert_allclose(found, all_logits[:40, -1], atol=1e-5)
    assert set(left) == {2}
    exits.predict(x[:40])  # Warned once.


def test_stage_times_are_measured(exits, logits):
    early, full = stage_runner.time_stages(
        exits.stages.stages,
        lambda feeds: exits.exit_model.backbone().predict_on_batch(
            feeds["image"]
        ),
        {"image": logits[0]},
        [1.0, 0.5, 0.0],
        64,
    )
    assert 0 < early and 0 < full


def test_several_inputs_and_a_live_input():
    left, right = (
        keras.Input((4,), name="left"),
        keras.Input((4,), name="right"),
    )
    x = keras.layers.Dense(4, name="first")(left)
    x = keras.layers.Dense(4, name="second")(x)
    x = keras.layers.Concatenate()([x, right])
    model = keras.Model([left, right], keras.layers.Dense(CLASSES)(x))
    cuts = model_stages.split_into_stages(
        add_exits(model, layers=["first", "second"])
    )
    run = stage_runner.StageRunner(
        cuts, rule((0.5, 0.5, -math.inf)), batch_size=32
    )
    inputs = [np.random.default_rng(k).normal(size=(50, 4)) for k in (0, 1)]
    found, exits = run.run([array.astype("float32") for array in inputs])
    assert found.shape == (50, CLASSES)
    assert cuts.stages[0].inputs == ("left",)
    assert "right" in cuts.stages[0].live
    with pytest.raises(ValueError, match="must hold 2 inputs"):
        run.run(inputs[0])


@pytest.mark.parametrize("names", [("z-wide", "a-narrow"), ("a-b", "a_b")])
def test_named_inputs_go_by_name(names):
    wide, narrow = (keras.Input((4,), name=name) for name in names)
    x = keras.layers.Dense(4, name="first")(wide - 2 * narrow)
    model = keras.Model([wide, narrow], keras.layers.Dense(CLASSES)(x))
    cuts = model_stages.split_into_stages(add_exits(model, layers=["first"]))
    data = {names[1]: np.ones((3, 4)), names[0]: np.zeros((3, 4))}
    for x in (data, list(data.values())[::-1], {**data}):
        first, second = cuts.named_inputs(x).values()
        assert not first.any() and second.all()
    assert set(cuts.named_inputs(data)) == set(cuts.stages[0].inputs)
    with pytest.raises(ValueError, match=f"must hold 2 inputs: .*{names[0]}"):
        cuts.named_inputs({"wide": 1, names[1]: 2})


def test_an_exit_inside_a_recurrent_state_is_refused():
    inputs = keras.Input((5, 4))
    sequence, state = keras.layers.SimpleRNN(
        3, return_sequences=True, return_state=True, name="maker"
    )(inputs)
    x = keras.layers.Dense(3, name="marked")(sequence)
    x = keras.layers.SimpleRNN(3, name="reader")(x, initial_state=state)
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    with pytest.raises(ValueError, match="must not separate a recurrent layer"):
        model_stages.split_into_stages(add_exits(model, layers=["marked"]))
