"""Decisions of triggers, without training."""

import math
from dataclasses import dataclass

import pytest

from keras_netopt.points import RunLength
from keras_netopt.surgery.growing.trigger import TrainingHistory, Trigger
from keras_netopt.surgery.growing.triggers import (
    AtPoints,
    Every,
    OverfittingRisk,
    Plateau,
    as_trigger,
)

RUN = RunLength(steps_per_epoch=10, epochs=12)


def _logs(name, values):
    return [{"epoch": i + 1, name: v} for i, v in enumerate(values)]


def _run_through(trigger, logs, run=RUN):
    """Epochs after which growth is due, growing at each of them."""
    grown = []
    for n in range(1, len(logs) + 1):
        if trigger.should_grow(TrainingHistory(logs[:n], tuple(grown), run)):
            grown.append(n)
    return grown


def test_every_three_epochs_grows_at_3_6_9_and_not_after_end():
    assert Every("3ep").schedule(RUN, last=96) == (
        (30, None),
        (60, None),
        (90, None),
    )
    assert Every("3ep").schedule(RUN, last=89) == ((30, None), (60, None))


@pytest.mark.parametrize(
    ("trigger", "steps"),
    [
        (Every("3ep", begin="1ep"), [10, 40, 70]),
        (Every("3ep", times=2), [30, 60]),
        (Every(25), [25, 50, 75]),
        (Every("25step"), [25, 50, 75]),
        (Every(0.25), [30, 60, 90]),
        (Every("4ep", begin=0), [0, 40, 80]),
    ],
)
def test_every_accepts_fractions_steps_and_epochs(trigger, steps):
    assert [step for step, _ in trigger.schedule(RUN, last=90)] == steps


def test_every_without_a_growth_raises():
    with pytest.raises(ValueError, match="must give a growth up to step 9"):
        Every("1ep").schedule(RUN, last=9)


def test_every_without_a_length_raises():
    assert Every("3ep").schedule(RunLength(None, 12), last=None) == ()
    with pytest.raises(ValueError, match="pass `steps_per_epoch=` to `fit`"):
        Every(30).schedule(RunLength(None, 12), last=None)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"interval": 0}, ValueError, "`interval` must be above 0"),
        ({"interval": 0.0}, ValueError, "`interval` must be above 0"),
        ({"interval": "0ep"}, ValueError, "`interval` must be above 0"),
        ({"interval": None}, TypeError, "`interval` must be a float"),
        ({"begin": -1}, ValueError, "`begin` must be a float"),
        ({"times": 0}, ValueError, "`times` must be an integer of at least 1"),
        ({"times": 1.5}, TypeError, "`times` must be an integer"),
    ],
)
def test_every_refuses(arguments, error, text):
    with pytest.raises(error, match=text):
        Every(**arguments)


def test_points_are_sorted_with_their_actions():
    trigger = AtPoints({"6ep": [1, 2], 0.25: [0], 45: (3,)})
    assert trigger.schedule(RUN, last=96) == (
        (30, (0,)),
        (45, (3,)),
        (60, (1, 2)),
    )
    assert trigger.actions == (1, 2, 0, 3)


def test_a_point_after_the_last_step_raises():
    with pytest.raises(
        ValueError, match="no point after step 96 of the 120 steps"
    ):
        AtPoints({0.81: [0]}).schedule(RUN, last=96)
    assert AtPoints({0.8: [0]}).schedule(RUN, last=96) == ((96, (0,)),)


def test_a_point_outside_the_run_raises():
    with pytest.raises(ValueError, match="`trigger` lies after the end"):
        AtPoints({"13ep": [0]}).schedule(RUN, last=96)


@pytest.mark.parametrize(
    ("points", "error", "text"),
    [
        ({}, ValueError, "at least one point"),
        ({0.3: 0}, TypeError, "must map points to lists"),
        ("0.3", TypeError, "must map points to lists"),
        ([0.3], TypeError, "must map points to lists"),
        ({1.3: [0]}, ValueError, "`trigger` must be a float in"),
        ({0.3: [-1]}, ValueError, "at least 0"),
        ({0.3: ["a"]}, TypeError, "must be an integer"),
    ],
)
def test_points_refuse(points, error, text):
    with pytest.raises(error, match=text):
        AtPoints(points)


def test_plateau_grows_after_patience_epochs():
    losses = [1.0, 0.9, 0.8, 0.8, 0.8, 0.8]
    assert _run_through(Plateau(cooldown=0), _logs("val_loss", losses)) == [6]


def test_plateau_ignores_improvements_up_to_min_delta():
    losses = [1.0, 0.99, 0.985, 0.98]
    trigger = Plateau("loss", min_delta=0.05, patience=3)
    assert _run_through(trigger, _logs("loss", losses)) == [4]
    assert _run_through(Plateau("loss"), _logs("loss", losses)) == []


def test_plateau_adds_up_small_steps_against_the_best():
    losses = [1.0, 0.97, 0.94, 0.91]
    trigger = Plateau("loss", min_delta=0.05, patience=2)
    assert _run_through(trigger, _logs("loss", losses)) == []


def test_plateau_does_not_count_during_the_cooldown():
    flat = _logs("val_loss", [1.0] * 12)
    trigger = Plateau(patience=2, cooldown=3)
    # 1 sets the best; 2, 3 are flat; 4, 5, 6 cool down; 7, 8 are flat.
    assert _run_through(trigger, flat) == [3, 8]
    assert _run_through(Plateau(patience=2), flat) == [3, 7, 11]
    assert _run_through(Plateau(patience=2, cooldown=0), flat)[:3] == [3, 5, 7]


def test_an_improvement_during_the_cooldown_counts_as_best():
    losses = [1.0, 1.0, 0.5, 0.8, 0.8]
    trigger = Plateau(patience=1, cooldown=1)
    assert _run_through(trigger, _logs("val_loss", losses)) == [2, 4]


def test_plateau_infers_the_direction():
    rising = [0.1, 0.2, 0.3, 0.4, 0.5]
    for name, grown in (("val_accuracy", []), ("val_loss", [4, 5])):
        trigger = Plateau(name, cooldown=0)
        history = _logs(name, rising)
        assert [
            n
            for n in range(1, 6)
            if trigger.should_grow(TrainingHistory(history[:n], (), RUN))
        ] == grown
    odd = _logs("odd", rising)
    assert not Plateau("odd", mode="max").should_grow(
        TrainingHistory(odd, (), RUN)
    )
    assert Plateau("odd", mode="min").should_grow(TrainingHistory(odd, (), RUN))


def test_a_non_finite_loss_is_no_improvement():
    losses = [1.0, math.nan, math.inf, math.nan]
    assert _run_through(Plateau("loss"), _logs("loss", losses)) == [4]


def test_plateau_without_its_metric_never_grows():
    assert _run_through(Plateau(), _logs("loss", [1.0] * 9)) == []


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"monitor": None}, TypeError, "`monitor` must be a string"),
        ({"monitor": "odd"}, ValueError, "`mode` must be 'min' or 'max' for"),
        ({"mode": "best"}, ValueError, "`mode` must be one of 'auto'"),
        (
            {"min_delta": -1.0},
            ValueError,
            "`min_delta` must be a finite number",
        ),
        ({"min_delta": "x"}, TypeError, "`min_delta` must be a finite number"),
        ({"patience": 0}, ValueError, "`patience` must be an integer of at"),
        ({"cooldown": -1}, ValueError, "`cooldown` must be an integer of at"),
    ],
)
def test_plateau_refuses(arguments, error, text):
    with pytest.raises(error, match=text):
        Plateau(**arguments)


def test_overfitting_risk_waits_the_papers_interval():
    run = RunLength(steps_per_epoch=10, epochs=100)

    def wait(train, held):
        trigger = OverfittingRisk(alpha=4.0)
        for epoch in range(1, 101):
            logs = [{"epoch": epoch, "accuracy": train, "val_accuracy": held}]
            if trigger.should_grow(
                TrainingHistory(logs, (0,), run, planned_growths=4, end=0.8)
            ):
                return epoch
        return None

    # I_max = 0.8 * 100 / 4 = 20.
    assert wait(0.90, 0.90) == 1  # 20 / (1 + e^4) = 0.36
    assert wait(0.90, 0.86) == 10  # the risk is alpha: half of 20
    assert wait(0.90, 0.70) == 20  # 19.9999
    late = [{"epoch": 12, "accuracy": 0.9, "val_accuracy": 0.7}]
    assert not OverfittingRisk().should_grow(
        TrainingHistory(late, (0, 9), run, 4, 0.8)
    )


def test_overfitting_risk_needs_both_accuracies():
    logs = [{"epoch": 90, "accuracy": 0.9}]
    assert not OverfittingRisk().should_grow(TrainingHistory(logs, (), RUN))
    assert OverfittingRisk().monitors == ("accuracy", "val_accuracy")


def test_names_and_mappings_become_triggers():
    assert as_trigger("plateau") == Plateau()
    assert as_trigger("periodic") == Every("3ep")
    assert as_trigger({0.3: [0]}) == AtPoints({0.3: [0]})
    own = Every(7)
    assert as_trigger(own) is own
    with pytest.raises(ValueError, match='`trigger` must be "plateau"'):
        as_trigger("soon")
    with pytest.raises(TypeError, match='`trigger` must be "plateau"'):
        as_trigger(3)


@pytest.mark.parametrize(
    "trigger",
    [
        Every("2ep", begin=0.1, times=3),
        AtPoints({0.3: [0], "4ep": [1, 2]}),
        Plateau("val_accuracy", min_delta=0.1, patience=2, cooldown=5),
        OverfittingRisk(2.0, "acc"),
    ],
)
def test_config_round_trip(trigger):
    import json

    config = json.loads(json.dumps(trigger.get_config()))
    assert type(trigger).from_config(config) == trigger


def test_a_custom_trigger():
    @dataclass(frozen=True)
    class Below(Trigger):
        loss: float

        def should_grow(self, history):
            return history.logs[-1]["loss"] < self.loss

    assert _run_through(Below(0.5), _logs("loss", [0.6, 0.4])) == [2]
    assert Below(0.5).schedule(RUN, 10) == ()
