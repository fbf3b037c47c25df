import keras
import numpy as np
import pytest
from search.supernet.supernets import OPTIONS, supernet

from keras_netopt.layers import Choice
from keras_netopt.search.supernet.architecture import (
    architecture_labels,
    read_architecture,
    sample_architectures,
    set_architecture,
)
from keras_netopt.search.supernet.searchable_layer import find_decisions


def test_decisions_are_found_in_nested_models():
    inputs = keras.Input((6,))
    model = keras.Model(inputs, supernet()(inputs))
    found = find_decisions(model)

    assert list(found) == ["edge1", "edge2"]
    assert found["edge1"].options == OPTIONS


def test_shared_weights_are_one_decision():
    assert list(find_decisions(supernet(shared=True))) == ["cell"]


def test_names_that_repeat_are_refused():
    inputs = keras.Input((6,))
    outputs = supernet()(keras.layers.Dense(6)(supernet()(inputs)))
    with pytest.raises(ValueError, match="have the name 'edge1'"):
        find_decisions(keras.Model(inputs, outputs))


def test_a_model_without_choices_is_refused():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match="searchable layer.*Received: model="):
        find_decisions(model)


def test_samples_repeat_and_use_enabled_options():
    model = supernet()
    find_decisions(model)["edge1"].enabled.assign([0, 1, 0, 1])
    found = sample_architectures(model, 40, seed=3)

    assert found == sample_architectures(model, 40, seed=3)
    assert {one["edge1"] for one in found} == {1, 3}
    assert {one["edge2"] for one in found} == {0, 1, 2, 3}


def test_the_preferred_option_never_cuts_the_edge():
    model = supernet()
    decisions = find_decisions(model)
    decisions["edge1"].weights.assign([0.0, 1.0, 2.0, 3.0])
    decisions["edge2"].fix(3)
    found = read_architecture(model)

    assert found == {"edge1": 2, "edge2": 3}
    labels = architecture_labels(model, found)
    assert labels == {"edge1": "skip", "edge2": "none"}


def test_a_set_architecture_is_read_again():
    model = supernet()
    set_architecture(model, {"edge1": 1, "edge2": np.int64(0)})
    assert read_architecture(model) == {"edge1": 1, "edge2": 0}


@pytest.mark.parametrize(
    "architecture", [{"edge": 0}, {"edge1": 4}, {"edge1": True}, {"edge1": -1}]
)
def test_wrong_architectures_are_refused(architecture):
    with pytest.raises(ValueError, match="Received: architecture="):
        set_architecture(supernet(), architecture)


def test_layers_must_be_built():
    model = keras.Sequential([Choice([keras.layers.Dense(2) for _ in "ab"])])
    with pytest.raises(ValueError, match="built"):
        find_decisions(model)
