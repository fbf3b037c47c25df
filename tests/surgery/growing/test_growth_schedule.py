"""The schedule of growth, without a model."""

import json

import pytest

from keras_netopt.points import RunLength
from keras_netopt.surgery.growing.growth_schedule import GrowthSchedule
from keras_netopt.surgery.growing.stop_without_improvement import (
    StopWithoutImprovement,
)
from keras_netopt.surgery.growing.triggers import AtPoints, Every, Plateau

RUN = RunLength(steps_per_epoch=10, epochs=12)


def _run(schedule, values, name="val_accuracy", run=RUN):
    """Simulates a fit; returns (epoch, numbers) of every growth."""
    schedule.begin(run)
    found = []
    for epoch in range(run.epochs):
        for step in range(10 * epoch, 10 * epoch + 10):
            if schedule.is_due(step):
                taken = schedule.pop_due(step, epoch)
                if taken:
                    found.append((epoch, taken))
        if epoch < len(values):
            schedule.record_epoch(epoch + 1, {name: values[epoch]})
    return found


def test_each_action_is_due_once_in_order():
    schedule = GrowthSchedule(Every("2ep"), None, [True] * 3, 0.8)
    assert _run(schedule, []) == [(2, [0]), (4, [1]), (6, [2])]


def test_points_name_their_actions():
    schedule = GrowthSchedule(
        AtPoints({25: [1], "5ep": [0, 1]}), None, [True] * 2, 0.8
    )
    assert _run(schedule, []) == [(2, [1]), (5, [0, 1])]


def test_a_plateau_grows_in_the_next_epoch():
    trigger = Plateau("val_loss", patience=2, cooldown=0)
    schedule = GrowthSchedule(trigger, None, [True] * 9, 0.8)
    assert _run(schedule, [1.0] * 12, "val_loss") == [
        (3, [0]),
        (5, [1]),
        (7, [2]),
        (9, [3]),
    ]


def test_nothing_grows_after_the_end_point():
    trigger = Plateau("val_loss", patience=1, cooldown=0)
    schedule = GrowthSchedule(trigger, None, [True] * 99, 0.5)
    epochs = [epoch for epoch, _ in _run(schedule, [1.0] * 12, "val_loss")]
    assert epochs == [2, 3, 4, 5, 6]
    schedule = GrowthSchedule(Every("1ep"), None, [True] * 99, 1.0)
    # A growth after the last epoch has no effect.
    assert [e for e, _ in _run(schedule, [])] == list(range(1, 12))


@pytest.mark.parametrize(
    ("end", "last", "epochs"),
    [
        (0.5, 60, [2, 3, 4, 5, 6]),
        ("4ep", 40, [2, 3, 4]),
        (45, 45, [2, 3, 4]),
        ("50step", 50, [2, 3, 4, 5]),
    ],
)
def test_the_end_is_a_point_of_the_fit(end, last, epochs):
    trigger = Plateau("val_loss", patience=1, cooldown=0)
    schedule = GrowthSchedule(trigger, None, [True] * 99, end)
    grown = _run(schedule, [1.0] * 12, "val_loss")
    assert [epoch for epoch, _ in grown] == epochs
    assert schedule.last == last


def test_an_end_in_steps_needs_the_steps_per_epoch():
    schedule = GrowthSchedule(Plateau("loss"), None, [True], 50)
    with pytest.raises(ValueError, match=r"`end` needs .* Received: end=50$"):
        schedule.begin(RunLength(None, 4))


def test_stages_without_improvement_close_in_turn():
    until = StopWithoutImprovement(min_delta=0.01, window="4ep")
    schedule = GrowthSchedule(Every("1ep"), until, [True] * 3, 1.0)
    # From the fifth epoch on there is no gain over the last four.
    found = _run(schedule, [0.5] * 12)
    assert found == [
        (1, [0]),
        (2, [1]),
        (3, [2]),
        (4, [0]),
        (5, [1]),
        (6, [2]),
    ]
    assert schedule.closed == (0, 1, 2)


def test_stages_grow_in_turn_while_the_metric_improves():
    until = StopWithoutImprovement(min_delta=0.01, window="2ep")
    schedule = GrowthSchedule(Every("1ep"), until, [True] * 2, 1.0)
    rising = [0.1 * i for i in range(12)]
    numbers = [n for _, taken in _run(schedule, rising) for n in taken]
    assert numbers == [0, 1] * 5 + [0]
    assert not schedule.closed


def test_a_stage_with_a_fixed_width_closes_at_that_width():
    schedule = GrowthSchedule(
        Every("1ep"), StopWithoutImprovement(window="9ep"), [True, False], 1.0
    )
    numbers = [n for _, taken in _run(schedule, []) for n in taken]
    assert numbers[:4] == [0, 1, 0, 0]
    assert schedule.closed == (1,)


def test_a_closed_action_is_not_due_again():
    schedule = GrowthSchedule(Every("2ep"), None, [True] * 3, 0.8)
    schedule.close(1)
    assert _run(schedule, []) == [(2, [0]), (4, [2])]
    schedule = GrowthSchedule(AtPoints({"2ep": [0, 1]}), None, [True] * 2, 0.8)
    schedule.close(1)
    assert _run(schedule, []) == [(2, [0])]


def test_actions_are_not_repeated_in_a_second_fit():
    schedule = GrowthSchedule(AtPoints({"2ep": [0]}), None, [True], 0.8)
    assert _run(schedule, []) == [(2, [0])]
    assert _run(schedule, []) == []


def test_growths_before_the_begin_are_skipped():
    schedule = GrowthSchedule(Every("2ep"), None, [True] * 3, 0.8)
    schedule.begin(RUN)
    assert schedule.skip_before(45) == 2
    assert not schedule.is_due(59)
    assert schedule.pop_due(60, 6) == [0]


def test_training_metrics_replace_missing_validation_metrics():
    trigger = Plateau("val_loss", patience=2, cooldown=0)
    schedule = GrowthSchedule(trigger, None, [True], 1.0)
    schedule.begin(RUN)
    for epoch in (1, 2):
        schedule.record_epoch(epoch, {"loss": 0.1})
    assert schedule.substituted == ("val_loss",)
    assert not schedule.record_epoch(3, {"loss": 0.1, "val_loss": 1.0})
    assert schedule.substituted == ()
    # The first value of validation is the first that counts.
    assert not schedule.record_epoch(4, {"loss": 0.1, "val_loss": 1.0})
    assert not schedule.record_epoch(5, {"loss": 0.1})
    assert schedule.record_epoch(6, {"loss": 0.1, "val_loss": 1.0})


def test_missing_monitors_are_listed():
    schedule = GrowthSchedule(
        Plateau("val_acc"), StopWithoutImprovement(), [True], 1.0
    )
    schedule.begin(RUN)
    schedule.record_epoch(1, {"loss": 1.0, "acc": 0.5})
    assert schedule.missing_monitors() == ("val_accuracy",)


def test_a_restored_schedule_continues_the_first_one():
    def make():
        until = StopWithoutImprovement(min_delta=0.01, window="3ep")
        trigger = Plateau("val_accuracy", patience=1, cooldown=1)
        return GrowthSchedule(trigger, until, [True] * 3, 1.0)

    whole = _run(make(), [0.5] * 12)
    first = make()
    first.begin(RUN)
    found = []
    for epoch in range(12):
        if epoch == 7:
            state = json.loads(json.dumps(first.get_state()))
            first = make()
            first.begin(RUN)
            first.set_state(state)
        if first.is_due(10 * epoch):
            taken = first.pop_due(10 * epoch, epoch)
            found += [(epoch, taken)] if taken else []
        first.record_epoch(epoch + 1, {"val_accuracy": 0.5})
    assert found == whole and len(whole) == 3


def test_a_window_without_a_length_is_refused_at_the_begin():
    schedule = GrowthSchedule(
        Plateau(), StopWithoutImprovement(window=30), [True], 1.0
    )
    with pytest.raises(ValueError, match="`window` needs the length"):
        schedule.begin(RunLength(None, 5))
