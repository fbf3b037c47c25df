import keras
import numpy as np
import pytest
from search.supernet.supernets import data, supernet, to_numpy

from keras_netopt.search import evaluate_subnets, extract
from keras_netopt.search.supernet.architecture import sample_architectures
from keras_netopt.search.supernet.subnet_evaluator import SubnetEvaluator


def compiled(**arguments):
    model = supernet(**arguments)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, metrics=["accuracy"])
    return model


@pytest.fixture(scope="module")
def model():
    return compiled(sampling="uniform", seed=1)


def test_results_equal_those_of_extracted_networks(model):
    """Averages of the network itself, a partial batch, and nothing moves."""
    x, y = data(80)
    model.evaluate(x, y, verbose=0)
    before = [to_numpy(v) for v in [*model.variables, *model.metrics_variables]]
    chosen = sample_architectures(model, 4, seed=2)
    found = evaluate_subnets(
        model, chosen, x, y, calibration_data=x, batch_size=64
    )

    for architecture, metrics in zip(chosen, found, strict=True):
        batches = iter([(x[np.linspace(0, 79, 64).astype(int)],)])
        small = extract(model, architecture, calibration_data=batches)
        expected = small.evaluate(x, y, 64, verbose=0, return_dict=True)
        assert metrics == pytest.approx(expected, abs=1e-5)
    after = [to_numpy(v) for v in [*model.variables, *model.metrics_variables]]
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)
    momenta = [
        c.layers[1].momentum for c in model.get_layer("edge1").candidates[:1]
    ]
    assert momenta == [0.5]


def test_other_averages_give_other_results(model):
    """Fails if the calibration has no effect."""
    x, y = data(64)
    chosen = [{"edge1": 0, "edge2": 0}]
    given = {"x": x, "y": y}
    stale = evaluate_subnets(model, chosen, **given, recalibrate=False)
    fresh = evaluate_subnets(model, chosen, **given, calibration_data=x)
    shifted = evaluate_subnets(model, chosen, **given, calibration_data=x + 3)

    losses = [one[0]["loss"] for one in (stale, fresh, shifted)]
    assert len({round(loss, 4) for loss in losses}) == 3


def test_a_first_score_uses_the_first_batches_alone():
    model = compiled(sampling="uniform", seed=1)
    model.layers[-1].bias.assign([3.0, 0.0, 0.0])
    x, _ = data(80)
    y = np.repeat([0, 1], [64, 16])
    evaluator = SubnetEvaluator(model, x, y, calibration_data=x, batch_size=64)
    (chosen,) = sample_architectures(model, 1, seed=3)

    first = evaluator.evaluate(chosen, 64)["loss"]
    assert first == pytest.approx(np.log(1 + 2 * np.exp(-3)), abs=1e-2)
    assert evaluator.evaluate(chosen)["loss"] == pytest.approx(
        first + 16 / 80 * 3, abs=1e-2
    )


@pytest.mark.backend("tensorflow")
def test_many_networks_need_one_trace(model):
    x, y = data(64)
    evaluator = SubnetEvaluator(model, x, y, calibration_data=x, batch_size=64)
    calls = []
    model_call = type(model).call

    def counted(self, *args, **kwargs):
        calls.extend([1] * (self is model))
        return model_call(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(model), "call", counted)
        for architecture in sample_architectures(model, 6, seed=3):
            evaluator.evaluate(architecture)
    assert len(calls) == 2


def test_stale_averages_are_refused_unless_asked_for(model):
    x, y = data(8)
    with pytest.raises(ValueError, match=r"calibration_data.*Received: cal"):
        evaluate_subnets(model, [{}], x, y)
    with pytest.raises(ValueError, match=r"compiled.*Received: model="):
        evaluate_subnets(supernet(), [{}], x, y, calibration_data=x)
    with pytest.raises(TypeError, match="Received: architectures="):
        evaluate_subnets(model, {"edge1": 0}, x, y, calibration_data=x)
