"""Schedules as value objects: configs, equality; numbers as schedules."""

import dataclasses
import inspect
import json

import keras
import numpy as np
import pytest
from schedules.examples import JUMPS, RAMPS

from keras_netopt import schedules
from keras_netopt.schedules import (
    Constant,
    Linear,
    Polynomial,
    Schedule,
    Steps,
    as_schedule,
)

pytestmark = pytest.mark.no_backend


def test_config_converts_to_json(schedule):
    config = json.loads(json.dumps(schedule.get_config()))
    assert type(schedule).from_config(config) == schedule


def test_config_is_the_constructor_in_order(schedule):
    parameters = inspect.signature(type(schedule)).parameters
    assert list(schedule.get_config()) == list(parameters)


def test_unknown_config_key_raises(schedule):
    config = {**schedule.get_config(), "rate": 0.1}
    with pytest.raises(TypeError, match="rate"):
        type(schedule).from_config(config)


def test_keras_restores_the_schedule(schedule):
    stored = keras.saving.serialize_keras_object(schedule)
    name = type(schedule).__name__
    assert stored["registered_name"] == f"keras_netopt>{name}"
    stored = json.loads(json.dumps(stored))
    assert keras.saving.deserialize_keras_object(stored) == schedule


def test_equal_schedules_have_equal_hashes(schedule):
    copy = type(schedule).from_config(schedule.get_config())
    assert copy is not schedule
    assert copy == schedule
    assert hash(copy) == hash(schedule)
    assert len({copy, schedule, *RAMPS, *JUMPS}) == len(RAMPS + JUMPS)


def test_steps_with_other_levels_differ():
    assert Steps({0.0: 0.5}) != Steps({0.0: 0.6})
    assert Steps({0.0: 0.5}) == Steps([(0.0, 0.5)])


def test_schedules_are_frozen(schedule):
    with pytest.raises(dataclasses.FrozenInstanceError):
        schedule.final = 0.3


def test_numpy_arguments_become_python_numbers():
    ramp = Linear(
        final=np.float32(0.5), begin=np.int64(20), end=np.float64(0.5)
    )
    assert json.loads(json.dumps(ramp.get_config())) == {
        "initial": 0.0,
        "final": 0.5,
        "begin": 20,
        "end": 0.5,
    }


def test_repr_rebuilds_the_schedule(schedule):
    assert eval(repr(schedule), vars(schedules).copy()) == schedule


def test_every_public_schedule_is_tested():
    public = {
        value
        for value in vars(schedules).values()
        if isinstance(value, type) and value is not Schedule
    }
    assert public == {type(s) for s in RAMPS + JUMPS}


def test_a_number_becomes_the_default_ramp():
    expected = Polynomial(
        initial=0.0, final=0.9, begin=0.1, end=0.75, power=3.0
    )
    assert as_schedule(0.9, "sparsity") == expected
    assert as_schedule(np.float64(0.9), "sparsity") == expected


def test_a_number_can_become_another_schedule():
    assert as_schedule(1, "rate", default=Constant) == Constant(1.0)


def test_a_schedule_is_returned_unchanged(schedule):
    assert as_schedule(schedule, "sparsity") is schedule
