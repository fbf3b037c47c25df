import keras
import numpy as np
import pytest

from keras_netopt.progressive import transfer_score

pytestmark = pytest.mark.no_backend


def history(**logs):
    found = keras.callbacks.History()
    found.history = logs
    return found


def test_identical_histories_give_exactly_one():
    curve = np.random.default_rng(0).uniform(0.1, 0.9, 7).tolist()
    steps = [0, 1, 5, 6, 7, 30, 31]
    for monitor in ("val_accuracy", "val_loss"):
        for places in (None, steps):
            score = transfer_score(curve, curve, monitor=monitor, steps=places)
            assert score.ratios == (1.0,)
            assert (score.mean, score.median, score.deviation) == (1, 1, None)


def test_every_form_of_a_curve_gives_the_same_score():
    mine, base = [0.5, 0.75], [0.25, 0.75]
    forms = (
        lambda curve: curve,
        np.array,
        lambda curve: {"val_accuracy": curve, "loss": [9.0, 9.0]},
        lambda curve: history(val_accuracy=curve, loss=[9.0, 9.0]),
    )
    for form in forms:
        assert transfer_score(form(mine), form(base)).ratios == (1.25,)
        seeds = transfer_score([form(mine)] * 2, [form(base), form(mine)])
        assert seeds.ratios == (1.25, 1.0)


def test_seeds_have_mean_median_and_deviation():
    score = transfer_score([[1.0], [2.0], [6.0]], [[1.0], [1.0], [2.0]])
    assert score.ratios == (1.0, 2.0, 3.0)
    assert (score.mean, score.median, score.deviation) == (2.0, 2.0, 1.0)
    assert score.to_dict()["mean"] == 2.0
    assert "2.0000 ± 1.0000 (median 2.0000, 3 seeds)" in str(score)


def test_a_curve_that_rises_in_half_the_steps_scores_above_one():
    slow = np.minimum(np.arange(1, 11) / 10, 1.0)
    fast = np.minimum(np.arange(1, 11) / 5, 1.0)
    assert transfer_score(fast, slow).mean == pytest.approx(0.8 / 0.55)
    assert transfer_score(slow, fast).mean < 1


def test_quantities_to_minimize_are_inverted():
    low, high = [1.0, 1.0], [2.0, 2.0]
    assert transfer_score(low, high, monitor="val_loss").mean == 2.0
    assert transfer_score(low, high, monitor="regret", mode="min").mean == 2.0
    score = transfer_score(high, low, monitor="val_loss", mode="max")
    assert (score.mean, score.mode) == (2.0, "max")


def test_the_trapezoid_weights_values_by_their_steps():
    score = transfer_score([0.0, 1.0, 1.0], [1.0, 1.0, 1.0], steps=[0, 1, 10])
    assert score.mean == pytest.approx(9.5 / 10)


def test_a_floor_makes_negative_returns_comparable():
    score = transfer_score(
        [-300.0, -100.0],
        [-400.0, -200.0],
        monitor="return",
        mode="max",
        floor=-500.0,
    )
    assert score.mean == pytest.approx(300 / 200)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"history": [0.5]},
            r"as many seeds, and [\s\S]*history=1 seeds of 1 ",
        ),
        ({"history": [[0.5, 0.5]] * 2}, "must hold as many seeds"),
        ({"history": []}, "`history` must hold at least one curve"),
        ({"baseline": [[], []]}, "`baseline` must hold at least one curve"),
        ({"history": [[0.5], [0.5, 0.6]]}, r"curves of \[1, 2\] values"),
        ({"baseline": [0.0, 0.0]}, "`baseline` must have .* positive area"),
        ({"history": [-1.0, 0.5]}, "Set `floor` below"),
        ({"history": [0.5, np.nan]}, "leave out a run that diverged"),
        ({"history": {"loss": [1, 2]}}, r"its logs are \['loss'\]"),
        ({"history": ["a", "b"]}, "`history` must hold numbers"),
        ({"monitor": "regret"}, "`mode` must be 'min' or 'max'"),
        ({"steps": [1, 2, 3]}, "`steps` must hold 2 increasing numbers"),
        ({"steps": [1, 1]}, "`steps` must hold 2 increasing numbers"),
        ({"floor": np.inf}, "`floor` must be finite"),
    ],
)
def test_wrong_arguments(changed, message):
    arguments = {"history": [0.5, 0.6], "baseline": [0.5, 0.6], **changed}
    with pytest.raises((TypeError, ValueError), match=message):
        transfer_score(**arguments)
