import keras
import numpy as np
import pytest
from keras import layers
from search.supernet import elastic_net
from search.supernet.supernets import (
    NETS,
    candidates,
    data,
    supernet,
    to_numpy,
)

from keras_netopt.graph.layers import walk_layers
from keras_netopt.layers import Choice
from keras_netopt.search import extract
from keras_netopt.search.supernet.architecture import (
    sample_architectures,
    set_architecture,
)
from keras_netopt.search.supernet.searchable_layer import find_decisions


@pytest.mark.parametrize("make", NETS)
def test_every_architecture_is_extracted_exactly(make):
    model = make()
    x = data()[0]
    before = [to_numpy(v) for v in model.variables]
    samples = sample_architectures(model, 5, seed=2)
    for architecture in samples:
        small = extract(model, architecture)
        found = to_numpy(small(x))
        kinds = [type(one).__module__ for one in walk_layers(small)]
        assert not any(kind.startswith("keras_netopt") for kind in kinds)
        set_architecture(model, architecture)
        np.testing.assert_allclose(found, to_numpy(model(x)), atol=1e-6)
    assert len({str(one) for one in samples}) > 2
    for decision in find_decisions(model).values():
        decision.set_mode("mixture")
        decision.active.assign(0)
    after = [to_numpy(v) for v in model.variables]
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)


def test_elastic_layers_become_plain_and_narrow():
    model = elastic_net.network()
    elastic_net.randomize(model)
    x = elastic_net.data()[0]
    for architecture in sample_architectures(model, 3, seed=1):
        small = extract(model, architecture)
        set_architecture(model, architecture)

        found = to_numpy(small(x))
        np.testing.assert_allclose(found, to_numpy(model(x)), atol=1e-5)
        kinds = [type(one).__module__ for one in walk_layers(small)]
        assert not any(kind.startswith("keras_netopt") for kind in kinds)


def test_the_extracted_model_is_compiled_and_independent():
    model = supernet()
    model.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
    small = extract(model, {"edge1": 0, "edge2": 1})
    before = model.get_weights()
    x = data()[0]
    small.fit(x, np.ones((len(x), 3)), verbose=0)

    assert "mae" in small.evaluate(x[:4], x[:4, :3], 4, 0, return_dict=True)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert [layer.name for layer in small.layers[1:]] == [
        *("first", "edge1", "edge2", "last")
    ]


def test_batch_normalization_is_recalibrated():
    model = supernet()
    x = 3.0 + data(64)[0]
    small = extract(model, {"edge1": 0, "edge2": 0}, calibration_data=x)
    norm = small.get_layer("edge1").layers[1]
    first = small.get_layer("first")(x)
    inputs = to_numpy(small.get_layer("edge1").layers[0](first))

    np.testing.assert_allclose(norm.moving_mean, inputs.mean(0), atol=1e-4)


class Maker(keras.Model):
    """A subclassed model that makes its searchable layer itself."""

    def __init__(self):
        super().__init__()
        self.choice = Choice(candidates(), name="made")

    def call(self, x):
        return self.choice(x)


def test_layers_that_a_class_makes_itself_are_refused():
    model = Maker()
    model(data()[0])
    with pytest.raises(ValueError, match=r"'made'.*Functional.*Received: mod"):
        extract(model)


def test_models_without_choices_are_refused():
    model = keras.Sequential([keras.Input((6,)), layers.Dense(2)])
    with pytest.raises(ValueError, match="searchable layer.*Received: model"):
        extract(model)
