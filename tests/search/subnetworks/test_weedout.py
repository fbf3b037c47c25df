"""Found sub-networks are the cut network that was scored."""

import numpy as np
import pytest
from search.subnetworks.networks import (
    data,
    evaluate,
    mlp,
    residual,
    small,
    weedout,
)

from keras_netopt import sparsity
from keras_netopt.search.subnetworks.unit_space import UnitSpace
from keras_netopt.training.mask_store import MaskStore


def test_units_are_exact_and_score_as_the_cut_model():
    """And a cut copy has the weights of its parent bit for bit."""
    model = mlp()
    # Moving statistics of a trained network differ by channel.
    norm = model.get_layer("norm")
    norm.moving_mean.assign(np.linspace(-1, 1, 20))
    norm.beta.assign(np.linspace(1, 2, 20))
    before = [w.copy() for w in model.get_weights()]
    result = weedout(model, controls=2, seed=5)

    assert result.loss == min(result.losses)
    assert len(result.losses) == 4
    assert [name for name, _ in result.skipped] == ["out"]
    kept = result.config
    assert {name: len(one) for name, one in kept.items()} == {
        "first": 4,
        "second": 2,
    }
    kernel, bias = model.get_layer("second").get_weights()
    cut = result.model.get_layer("second").get_weights()
    assert (cut[0] == kernel[np.ix_(kept["first"], kept["second"])]).all()
    assert (cut[1] == bias[kept["second"]]).all()
    assert (
        result.model.get_layer("norm").get_weights()[1]
        == before[3][kept["first"]]
    ).all()
    x, y = data(model)
    for one in (result.found, *result.random):
        assert abs(one.loss - evaluate(one.model, x, y)) < 1e-5
    assert abs(result.parent_loss - evaluate(model, x, y)) < 1e-5
    assert all(
        (a == b).all() for a, b in zip(before, model.get_weights(), strict=True)
    )
    # 1 - (6 x 4 + 4 x 2 + 2 x 3) / (6 x 20 + 20 x 10 + 10 x 3)
    assert result.found.node_sparsity == pytest.approx(0.8)
    assert result.found.weight_sparsity == pytest.approx(1 - 38 / 350)


def test_coupled_channels_are_one_unit():
    """Those of a residual stream, and of a depthwise convolution behind it."""
    model = residual()
    result = weedout(model, 0.5)
    assert {name: len(one) for name, one in result.config.items()} == {
        "stem": 4,
        "hidden": 6,
    }
    assert result.model.get_layer("branch").filters == 4
    x, y = data(model)
    for one in (result.found, *result.random):
        assert abs(one.loss - evaluate(one.model, x, y)) < 1e-5
    size = sum(np.prod(v.shape) for v in result.model.weights if v.ndim > 1)
    whole = sum(np.prod(v.shape) for v in model.weights if v.ndim > 1)
    assert result.found.weight_sparsity == pytest.approx(1 - size / whole)


@pytest.mark.parametrize("scope", ["local", "global"])
def test_masked_weights_are_exact_and_stay_zero(scope):
    model = mlp()
    result = weedout(model, 0.9, granularity="weight", scope=scope)
    masks = result.config
    sizes = {name: int(mask.sum()) for name, mask in masks.items()}
    if scope == "local":
        assert sizes == {
            "first/kernel": 12,
            "second/kernel": 20,
            "out/kernel": 3,
        }
    assert sum(sizes.values()) == 35
    assert result.found.weight_sparsity == pytest.approx(0.9)
    x, y = data(model)
    assert abs(result.loss - evaluate(result.model, x, y)) < 1e-5
    result.model.fit(x, y, batch_size=8, verbose=0)
    kernel = result.model.get_layer("first").get_weights()[0]
    assert ((kernel != 0) == masks["first/kernel"]).all()
    assert sparsity.report(result.model).zeros == 315
    assert MaskStore.of(model) is None


def test_masked_inputs_keep_the_shape_of_the_inputs():
    model = mlp()
    result = weedout(model, 0.5, mask_inputs=True)
    kept = result.config["inputs"]
    assert len(kept) == 3
    assert result.model.input_shape == (None, 6)
    x, y = data(model)
    assert abs(result.loss - evaluate(result.model, x, y)) < 1e-5
    result.model.fit(x, y, batch_size=8, verbose=0)
    kernel = result.model.get_layer("first").get_weights()[0]
    assert kernel.shape == (6, 10)
    assert np.flatnonzero(kernel.any(axis=1)).tolist() == kept.tolist()
    # 1 - (3 x 10 + 10 x 5 + 5 x 3) / 350
    assert result.found.weight_sparsity == pytest.approx(1 - 95 / 350)


def test_allocations_of_units():
    model = mlp()

    def kept(share=0.8, **arguments):
        given = {"include": None, "exclude": None, "allocation": "uniform"}
        given |= {"scope": "local", "mask_inputs": False, **arguments}
        space = UnitSpace(model, share, **given)
        drawn = space.describe(space.subsets.draw(np.random.default_rng(0)))
        return {name: len(one) for name, one in drawn.items()}

    # Densities (6 + 20) / 120 and (20 + 10) / 200, six units of 30.
    assert kept(allocation="erk") == {"first": 4, "second": 2}
    assert kept(allocation={"second": 0.5}) == {"first": 4, "second": 5}
    assert kept(exclude="first") == {"second": 2}
    assert kept(0.99, include="first") == {"first": 1}
    assert sum(kept(scope="global").values()) == 6


def test_a_seed_gives_one_result():
    """And controls are drawn from random numbers of their own."""
    first, shorter, other = (
        weedout(small(), seed=seed, candidates=count)
        for seed, count in ((1, 4), (1, 2), (2, 2))
    )
    assert first.losses[:2] == shorter.losses
    assert first.losses[:2] != other.losses
    # The same in every process, on every backend.
    for result in (first, shorter):
        control = result.random[0].config["first"].tolist()
        assert control == [5, 6, 8, 12]
        assert result.config["first"].tolist() != control
