"""Models and data that a search of sub-networks takes, or refuses."""

import keras
import numpy as np
import pytest
from search.subnetworks.networks import (
    compiled,
    data,
    evaluate,
    mlp,
    residual,
    small,
    weedout,
)

from keras_netopt.sparsity import PerLayer


def test_layers_of_the_model_are_selected_in_its_copies(capsys):
    model = small()
    first = model.get_layer("first")
    result = weedout(model, include=[first], verbose=1)
    assert list(result.config) == ["first"]
    assert "4/4" in capsys.readouterr().out
    result = weedout(model, exclude=first, granularity="weight")
    assert list(result.config) == ["out/kernel"]


@pytest.mark.parametrize("granularity", ["node", "weight"])
@pytest.mark.parametrize(
    "select",
    [
        lambda layer: layer,
        lambda layer: lambda other: other is layer,
        lambda layer: (layer,),
    ],
    ids=["layer", "identity", "tuple"],
)
def test_selectors_hold_objects_of_the_model(granularity, select):
    """The searched copy has other layers; names need not be unique in it."""
    model = small()
    selector = select(model.get_layer("first"))
    arguments = {"granularity": granularity, "candidates": 1}
    name = {"node": "first", "weight": "first/kernel"}[granularity]

    def share(**more):
        kept = weedout(model, 0.8, **arguments, **more).config[name]
        if granularity == "weight":
            return kept.mean()
        return len(kept) / 20

    assert share(include=selector) == pytest.approx(0.2)
    values = {selector: 0.75}
    assert share(allocation=values) == pytest.approx(0.25)
    if granularity == "weight":
        per_layer = PerLayer(values, rest="uniform", keep_total=False)
        assert share(allocation=per_layer) == pytest.approx(0.25)


def test_bad_input():
    model = mlp()
    x, y = data(model)
    shared = keras.Input((4,))
    outputs = keras.layers.Dense(3, name="out")(shared)
    uncompiled = keras.Model(shared, outputs)
    only_outputs = compiled(keras.Model(shared, outputs))
    cases = {
        "Weedout without a random control is meaningless": {"controls": 0},
        r"matches: out \(reaches the output": {"include": ["first", "out"]},
        "granularity='node'": {"allocation": "er"},
        "scope='global'": {"allocation": "erk", "scope": "global"},
        "flatten the data": {"model": residual(), "mask_inputs": True},
        "whose units can be removed, but all": {"model": only_outputs},
        "compiled with a loss": {"model": uncompiled},
        r"pass \(x, y\)": {"data": x},
        "removes all 30 of `out/kernel`": {
            "granularity": "weight",
            "share": 0.99,
        },
        "a finite loss on": {"data": (x * np.nan, y)},
    }
    wrong = []
    for message, arguments in cases.items():
        arguments = {"model": model, "data": (x, y), **arguments}
        try:
            with pytest.raises(ValueError, match=message) as caught:
                weedout(**arguments)
            assert "Received: " in str(caught.value)
        except (AssertionError, pytest.fail.Exception) as error:
            wrong.append(f"{message}: {error}")
    assert not wrong, "\n".join(wrong)
    masked = weedout(small(), granularity="weight").model
    with pytest.raises(ValueError, match="`sparsity.remove_masks`"):
        weedout(masked)


class Subclassed(keras.Model):
    """Its layers have other names in each copy."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first = keras.layers.Dense(8, activation="relu")
        self.last = keras.layers.Dense(3)

    def call(self, x):
        return self.last(self.first(x))


@pytest.mark.parametrize("granularity", ["node", "weight"])
def test_a_subclassed_model(granularity):
    model = Subclassed()
    x, y = np.ones((6, 4), "float32"), np.arange(6) % 3
    model(x)
    compiled(model)
    result = weedout(model, 0.5, data=(x, y), granularity=granularity)
    assert next(iter(result.config)).startswith(model.first.name)
    assert result.model.first.units == (4 if granularity == "node" else 8)
    assert abs(result.loss - evaluate(result.model, x, y)) < 1e-5


def test_files_and_further_searches():
    """A found network is a plain one: it is saved, and searched again."""
    result = weedout(small(), 0.5)
    again = keras.models.clone_model(result.model)
    assert again.get_layer("first").units == 10
    assert weedout(result.model, 0.5).model.get_layer("first").units == 5
