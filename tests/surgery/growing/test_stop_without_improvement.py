"""When growing ends."""

import pytest

from keras_netopt.points import RunLength
from keras_netopt.surgery.growing.stop_without_improvement import (
    StopWithoutImprovement,
)
from keras_netopt.surgery.growing.trigger import TrainingHistory

RUN = RunLength(steps_per_epoch=10, epochs=20)


def _past(values, name="val_accuracy"):
    logs = [{"epoch": i + 1, name: v} for i, v in enumerate(values)]
    return TrainingHistory(logs, (), RUN)


def test_stopping_needs_a_whole_window_and_an_epoch_before_it():
    policy = StopWithoutImprovement(window="3ep")
    assert not policy.should_stop(_past([0.5] * 3))
    assert policy.should_stop(_past([0.5] * 4))
    assert not policy.should_stop(_past([]))


def test_an_improvement_inside_the_window_continues_growth():
    policy = StopWithoutImprovement(min_delta=0.01, window="3ep")
    assert not policy.should_stop(_past([0.5, 0.5, 0.52, 0.5]))
    assert policy.should_stop(_past([0.5, 0.5, 0.505, 0.5]))
    # The gain has left the window.
    assert policy.should_stop(_past([0.5, 0.52, 0.5, 0.5, 0.5]))


def test_small_improvements_add_up_over_the_window():
    policy = StopWithoutImprovement(min_delta=0.01, window="3ep")
    assert not policy.should_stop(_past([0.5, 0.504, 0.508, 0.512]))


def test_a_loss_must_fall():
    policy = StopWithoutImprovement(0.01, "2ep", "val_loss")
    assert policy.should_stop(_past([0.5, 0.6, 0.7], "val_loss"))
    assert not policy.should_stop(_past([0.5, 0.4, 0.3], "val_loss"))


def test_without_its_metric_nothing_is_closed():
    assert not StopWithoutImprovement(window="1ep").should_stop(
        _past([0.5] * 9, "loss")
    )


@pytest.mark.parametrize(
    ("window", "epochs"),
    [(0.33, 7), (0.25, 5), ("30ep", 30), (25, 3), ("20step", 2), (0.0, 1)],
)
def test_the_window_in_epochs(window, epochs):
    assert StopWithoutImprovement(window=window).epochs(RUN) == epochs


def test_a_window_in_steps_needs_the_length():
    run = RunLength(None, 20)
    assert StopWithoutImprovement().epochs(run) == 7
    with pytest.raises(ValueError, match="`window` needs the length"):
        StopWithoutImprovement(window=25).epochs(run)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"min_delta": -0.1}, "`min_delta` must be a finite number"),
        ({"window": 1.5}, "`window` must be a float"),
        ({"monitor": "odd"}, "`mode` must be 'min' or 'max'"),
        ({"mode": "up"}, "`mode` must be one of 'auto'"),
    ],
)
def test_stop_without_improvement_refuses(arguments, text):
    with pytest.raises(ValueError, match=text):
        StopWithoutImprovement(**arguments)


def test_config_round_trip():
    policy = StopWithoutImprovement(0.1, "3ep", "val_loss", "min")
    assert StopWithoutImprovement.from_config(policy.get_config()) == policy
