import copy
import json
import types

import numpy as np
import pytest

from keras_netopt.search import growing_json
from keras_netopt.search.growing_json import GrowingJson

STATES = [
    {"order": ["0", "1"], "times": {"0": 1}, "seed": 3, "nothing": []},
    {"order": ["0", "1", "2"], "times": {"0": 1, "1": 1}, "nothing": ["a"]},
    {"order": ["0", "1", "2"], "times": {"0": 2, "1": 1}, "nothing": []},
    {"order": ["1", "2"], "times": {"1": 1, "0": 2}, "nothing": {}},
    {"order": [1, 2], "times": {"1": None}, "nothing": [["a"]]},
    {"order": {"1": 1}, "times": ["2"], "nothing": None},
    {"order": [False, 2, 3], "times": {1: 2}, "nothing": [0.1, float("nan")]},
    {"order": [1, 2, 3], "times": {"1": 2.0}, "nothing": [{"é": '"'}]},
]


def test_every_state_is_encoded_as_by_json():
    encoder = GrowingJson()
    for state in [*STATES, *STATES[::-1]]:
        assert encoder.encode(state) == json.dumps(state)


def test_items_that_change_in_place_are_seen():
    encoder = GrowingJson()
    state = {"brackets": [{"rounds": [[]]}], "order": ["0"]}
    for number in range(3):
        state["brackets"][0]["rounds"][0].append(number)
        state["order"][0] += "x"
        assert encoder.encode(state) == json.dumps(state)


@pytest.mark.parametrize("seed", range(3))
def test_random_changes_are_seen(seed):
    random, encoder = np.random.default_rng(seed), GrowingJson()
    state: dict = {"list": [], "dict": {}}
    for _ in range(300):
        what, number = random.integers(6), int(random.integers(50))
        if what < 3:
            state["list"].append(str(number))
            state["dict"][str(number)] = number
        elif what == 3:
            state["dict"].pop(str(number), None)
        elif what == 4 and state["list"]:
            state["list"][number % len(state["list"])] = number
        elif what == 5:
            state = copy.deepcopy(state)
        assert encoder.encode(state) == json.dumps(state)


def test_only_new_items_are_encoded(monkeypatch):
    encoder, encoded = GrowingJson(), []

    def dumps(value):
        encoded.append(value)
        return json.dumps(value)

    monkeypatch.setattr(
        growing_json, "json", types.SimpleNamespace(dumps=dumps)
    )
    for count in (1, 2, 2, 4):
        encoder.encode({"order": [str(i) for i in range(count)]})

    found = [value for value in encoded if isinstance(value, list)]
    assert found == [["0"], ["1"], [], ["2", "3"]]
