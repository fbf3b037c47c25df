"""Compound scaling against the formulas of the paper."""

import keras
import keras_tuner
import numpy as np
import pytest

from keras_netopt import cost, search
from keras_netopt.search import spaces
from keras_netopt.search.scaling.compound_scale_factors import CompoundScale
from keras_netopt.search.scaling.fit_coefficients import list_coefficients

pytestmark = pytest.mark.no_backend


def build(scale):
    """Convolutions of 4 MACs per pixel and pair of channels."""
    size = scale.size(16)
    x = inputs = keras.Input((size, size, 4))
    for _ in range(scale.repeats(3)):
        x = keras.layers.Conv2D(scale.channels(16), 2, padding="same")(x)
    return keras.Model(inputs, x)


def macs(model):
    return cost.summarize(model).macs


def test_channels_are_multiples_and_never_below_90_percent():
    """The function of the reference, written out."""
    for round_to in (1, 4, 8):
        for width in np.linspace(1.01, 4.0, 60):
            scale = CompoundScale(width=float(width), round_to=round_to)
            for count in (1, 3, 8, 16, 24, 30, 64, 100):
                found, exact = scale.channels(count), count * width
                assert found % round_to == 0 and found >= 0.9 * exact
                nearest = max(round_to, int(exact / round_to + 0.5) * round_to)
                assert found in (nearest, nearest + round_to)
                assert found == nearest or nearest < 0.9 * exact
    # EfficientNet-B1 to B3: 32 channels of the stem, 320 of the last stage.
    for width, stem, last in ((1.0, 32, 320), (1.1, 32, 352), (1.2, 40, 384)):
        scale = CompoundScale(width=width)
        assert (scale.channels(32), scale.channels(320)) == (stem, last)


def test_blocks_are_rounded_up_and_pixels_to_the_nearest():
    scale = CompoundScale(depth=1.2, resolution=1.15)
    assert [scale.repeats(n) for n in (1, 2, 5, 10)] == [2, 3, 6, 12]
    assert [scale.size(n) for n in (10, 28, 224)] == [12, 32, 258]


@pytest.mark.parametrize("name", ["resnet", "mobilenet", "nas_bench_201"])
def test_an_exponent_of_zero_is_the_network_itself(name):
    sizes = {} if name == "nas_bench_201" else {"blocks": 1, "width": 3}
    cells = {"channels": 3, "cells": 1} if name == "nas_bench_201" else {}
    space = getattr(spaces, name)((8, 8, 1), 2, stages=2, **sizes, **cells)
    first, second = space.model(), search.compound_scale(space, 0)
    assert second.get_config() == first.get_config()
    larger = search.compound_scale(space, 1, round_to=1)
    assert macs(larger) > 1.5 * macs(first)
    assert larger.input_shape == first.input_shape
    names = [layer.name for layer in larger.layers]
    assert "resolution" in names and len(names) > len(first.layers)


def test_blocks_beyond_the_last_are_like_it():
    space = spaces.mobilenet((8, 8, 1), 2, stages=1, blocks=2, width=4)
    values = {
        f"stage1/block{i}/{name}": value
        for i, pair in ((1, (3, 2)), (2, (5, 6)))
        for name, value in zip(("kernel", "expansion"), pair, strict=True)
    }
    model = space.scaled(CompoundScale(depth=1.5), values)
    kernel = model.get_layer("stage1_block3_depthwise").kernel
    assert tuple(kernel.shape) == (5, 5, 24, 1)


def test_macs_grow_as_asked():
    """Plain rounding misses the factor here."""
    base = macs(search.compound_scale(build, 0))
    plain, corrected = (
        [
            macs(search.compound_scale(build, phi, macs_factor=factor))
            / base
            / 2**phi
            for phi in (1, 2, 3, 4)
        ]
        for factor in (None, 2.0)
    )
    assert max(abs(np.log(plain))) > np.log(1.15)
    assert max(abs(np.log(corrected))) < np.log(1.15)


@pytest.mark.parametrize("grown", ["alpha", "beta", "gamma"])
def test_one_factor_alone_leaves_the_others(grown):
    factors = {"alpha": 1.0, "beta": 1.0, "gamma": 1.0, grown: 2.0}
    model = search.compound_scale(build, 1, **factors, macs_factor=2.0)
    size, count = model.input_shape[1], len(model.layers) - 1
    width = model.output_shape[-1]
    assert (size > 16, count > 3, width > 16) == (
        grown == "gamma",
        grown == "alpha",
        grown == "beta",
    )
    assert 1.7 < macs(model) / macs(search.compound_scale(build, 0)) < 2.3


def test_the_compound_space_has_one_dimension():
    space = spaces.compound(build, phi=(0, 1, 2), round_to=1)
    hp, found = keras_tuner.HyperParameters(), []
    for phi in (0.0, 1.0, 2.0):
        hp.values = {"phi": phi}
        found.append(macs(space(hp)))
    assert found == sorted(found) and len(hp.space) == 1
    assert 1.5 < found[2] / found[1] < 3


def test_the_grid_holds_the_products_near_the_factor():
    triples = list_coefficients(2.0, 0.1, 0.1)
    products = [a * b**2 * c**2 for a, b, c in triples]
    assert len(set(triples)) == len(triples) > 20
    assert all(1.8 <= product <= 2.2 for product in products)
    assert (1.2, 1.1, 1.2) in triples and (2.0, 1.0, 1.0) in triples


def test_the_best_score_wins_at_equal_macs():
    """The score is the resolution."""
    seen = []

    def evaluate(model):
        seen.append(macs(model))
        return model.input_shape[1]

    found = search.fit_coefficients(build, evaluate, step=0.4, tolerance=0.15)
    base = macs(search.compound_scale(build, 0))
    assert found.best.gamma == max(row.gamma for row in found.rows) > 1
    assert found.best.score == max(row.score for row in found.rows)
    assert all(1.7 < one / base < 2.3 for one in seen)
    assert f"{found.best.gamma:.2f}" in str(found)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"build": "resnet"}, TypeError, "build='resnet'"),
        ({"phi": -1}, ValueError, "phi=-1"),
        ({"alpha": 0.9}, ValueError, "alpha=0.9"),
        ({"round_to": 0}, ValueError, "round_to=0"),
        ({"macs_factor": 1.0}, ValueError, "macs_factor=1.0"),
        ({"build": spaces.mlp((2,), 2)}, ValueError, "named 'mlp'"),
    ],
)
def test_bad_arguments_are_refused(change, error, message):
    arguments = {"build": build, "phi": 1, **change}
    with pytest.raises(error, match=message):
        search.compound_scale(**arguments)
    with pytest.raises(ValueError, match="must not all be 1"):
        search.compound_scale(
            build, 1, alpha=1, beta=1, gamma=1, macs_factor=2.0
        )
    with pytest.raises(ValueError, match="phi=3"):
        spaces.compound(build, phi=3)
    with pytest.raises(ValueError, match="Decrease `step`"):
        search.fit_coefficients(build, step=0.9, tolerance=0.01)
    with pytest.raises(TypeError, match="evaluate=3"):
        search.fit_coefficients(build, 3)
