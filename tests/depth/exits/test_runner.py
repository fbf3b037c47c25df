"""Check 11: compaction gives what "run everything, then pick" gives."""

import math

import keras
import numpy as np
import pytest
from depth.exits.nets import CLASSES, make_data

from keras_netopt.depth import add_exits
from keras_netopt.depth.exits import runner, stages
from keras_netopt.depth.exits.threshold_search import leave


@pytest.fixture(scope="module")
def answers(trained):
    """Every exit's answer for a thousand samples."""
    x = make_data(1000, seed=2)[0]
    found = trained.predict(x, batch_size=250, verbose=0)
    held = np.stack([found[name] for name in trained.exit_names], axis=1)
    return x, held


def rule(thresholds):
    return runner.Rule("confidence", thresholds, False)


def thresholds_at(scores, rate):
    """Thresholds at which this share of those that come leaves."""
    if rate in (0.0, 1.0):
        first = math.inf if rate == 0.0 else -math.inf
        return (first, math.inf, -math.inf)
    first = float(np.quantile(scores[:, 0], 1 - rate)) + 1e-5
    inside = scores[:, 0] < first
    return (first, float(np.quantile(scores[inside, 1], 1 - rate)), -math.inf)


@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
def test_compaction_equals_picking(exits, answers, rate):
    x, held = answers
    likely = np.exp(held - held.max(-1, keepdims=True))
    likely = likely / likely.sum(-1, keepdims=True)
    scores = likely.max(-1)
    thresholds = thresholds_at(scores, rate)
    wanted = leave(scores, thresholds)
    sure = np.abs(scores - np.array(thresholds)).min(axis=1) > 1e-5
    for count in (1, 33, 1000):
        run = runner.Runner(exits.stages, rule(thresholds), batch_size=256)
        found, left = run.run(x[:count])
        keep = sure[:count]
        assert np.array_equal(left[keep], wanted[:count][keep])
        picked = held[np.arange(count), left]
        np.testing.assert_allclose(found, picked, atol=1e-5)
        reached = [1, (left > 0).any(), (left > 1).any()]
        assert [bool(c) for c in run.calls] == [bool(r) for r in reached]
        for sizes in run.sizes:
            assert len(sizes) <= math.log2(max(count, 2)) + 2


def test_samples_come_back_in_order_across_windows(exits, answers):
    x, held = answers
    scores = np.exp(held) / np.exp(held).sum(-1, keepdims=True)
    thresholds = thresholds_at(scores.max(-1), 0.3)
    small = runner.Runner(exits.stages, rule(thresholds), batch_size=32)
    found, left = small.run(x)
    assert small.window < len(x) < 2 * small.window
    np.testing.assert_allclose(found, held[np.arange(len(x)), left], atol=1e-5)
    assert len(set(left)) == 3


def test_skip_connections_are_further_inputs(exits):
    first, second, last = exits.stages.stages
    assert first.inputs == ("image",)
    assert len(last.inputs) == 2  # The stream, and the skip from the first.
    assert set(last.inputs) <= set(second.live)
    assert first.features[0] in last.inputs
    assert last.features == () and last.live == ()


def test_padding_is_to_powers_of_two():
    assert [runner.padded(n, 256) for n in (1, 32, 33, 129)] == [
        32, 32, 64, 256,
    ]  # fmt: skip
    assert runner.padded(90, 100) == 100
    assert runner.padded(5, 8) == 8


def test_where_leaving_does_not_pay_the_full_model_answers(
    exits, answers, monkeypatch
):
    x, held = answers
    monkeypatch.setattr(
        "keras_netopt.depth.exits.calibrated_exits.stage_seconds",
        lambda *_: (2.0, 1.0),
    )
    exits._pays.clear()
    with pytest.warns(UserWarning, match="one full pass takes"):
        found, left = exits.predict(x[:40], return_exits=True)
    np.testing.assert_allclose(found, held[:40, -1], atol=1e-5)
    assert set(left) == {2}
    exits.predict(x[:40])  # Said once.


def test_the_clock_decides(exits, answers):
    early, full = runner.stage_seconds(
        exits.stages.stages,
        lambda feeds: exits.exit_model.backbone().predict_on_batch(
            feeds["image"]
        ),
        {"image": answers[0]},
        [1.0, 0.5, 0.0],
        64,
    )
    assert 0 < early and 0 < full


def test_several_inputs_and_a_tensor_that_passes_by():
    left, right = (
        keras.Input((4,), name="left"),
        keras.Input((4,), name="right"),
    )
    x = keras.layers.Dense(4, name="first")(left)
    x = keras.layers.Dense(4, name="second")(x)
    x = keras.layers.Concatenate()([x, right])
    model = keras.Model([left, right], keras.layers.Dense(CLASSES)(x))
    cuts = stages.cut(add_exits(model, at=["first", "second"]))
    run = runner.Runner(cuts, rule((0.5, 0.5, -math.inf)), batch_size=32)
    inputs = [np.random.default_rng(k).normal(size=(50, 4)) for k in (0, 1)]
    found, exits = run.run([array.astype("float32") for array in inputs])
    assert found.shape == (50, CLASSES)
    assert cuts.stages[0].inputs == ("left",)
    assert "right" in cuts.stages[0].live
    with pytest.raises(ValueError, match="must hold 2 inputs"):
        run.run(inputs[0])


def test_a_cut_through_a_recurrent_state_is_refused():
    inputs = keras.Input((5, 4))
    sequence, state = keras.layers.SimpleRNN(
        3, return_sequences=True, return_state=True, name="maker"
    )(inputs)
    x = keras.layers.Dense(3, name="place")(sequence)
    x = keras.layers.SimpleRNN(3, name="reader")(x, initial_state=state)
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    with pytest.raises(ValueError, match="cut through the state"):
        stages.cut(add_exits(model, at=["place"]))
