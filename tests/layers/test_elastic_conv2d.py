"""Every width and kernel against the plain convolution."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops
from search.supernet.elastic_net import norm, randomize, to_numpy

from keras_netopt.layers import ElasticConv2D


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return rng.normal(size=(2, 5, 6, 2)).astype("float32")


def elastic(strides=1, **arguments):
    layer = ElasticConv2D(
        6, 5, (2, 3, 6), (3, 5), strides=strides, name="c", **arguments
    )
    layer.build((None, 5, 6, 2))
    randomize(layer)
    return layer


def apply(plain, x):
    for layer in plain:
        x = layer(x)
    return to_numpy(x)


@pytest.mark.parametrize("strides", [1, 2, 3])
@pytest.mark.parametrize("normalized", [False, True])
def test_every_width_and_kernel_equals_the_plain_layers(
    images, strides, normalized
):
    layer = elastic(
        strides,
        activation="relu",
        normalization=norm() if normalized else None,
    )
    width, kernel = layer.decisions()
    assert (width.name, kernel.name) == ("c/width", "c/kernel")
    for w, k in itertools.product(range(3), range(2)):
        width.fix(w)
        kernel.fix(k)
        found = to_numpy(layer(images))
        plain = layer.chosen_layer({"c/width": w, "c/kernel": k})

        count = layer.widths[w]
        assert plain[0].kernel_size == (layer.kernel_sizes[k],) * 2
        np.testing.assert_allclose(
            found[..., :count], apply(plain, images)[..., :count], atol=1e-5
        )
        assert (found[..., count:] == 0).all()
        assert found[..., :count].any()


def test_an_activation_does_not_revive_masked_units(images):
    layer = elastic(activation="sigmoid", normalization=norm())
    layer.decisions()[0].fix(0)

    assert (to_numpy(layer(images))[..., 2:] == 0).all()


def test_training_touches_active_units_only(images, train):
    layer = elastic(normalization=norm(), use_bias=True)
    layer.decisions()[0].fix(1)
    units = {v.path: v for v in layer.weights if v.shape[-1:] == (6,)}
    assert len(units) == 6
    before = {path: to_numpy(v) for path, v in units.items()}
    train(layer, images, optimizer=keras.optimizers.SGD(0.1, 0.9))
    for path, variable in units.items():
        after = to_numpy(variable)
        np.testing.assert_array_equal(after[..., 3:], before[path][..., 3:])
        assert path.endswith("/bias") or not np.allclose(
            after[..., :3], before[path][..., :3], atol=1e-6
        )


def test_unused_kernel_positions_get_no_gradients(images, train):
    """At kernel 3 the border of the 5 x 5 kernel is not used."""
    layer = elastic()
    layer.decisions()[1].fix(0)
    before, matrix = to_numpy(layer.kernel), to_numpy(layer.matrices["3"])
    train(layer, images, optimizer=keras.optimizers.SGD(0.1))
    changed = to_numpy(layer.kernel) != before

    assert changed[1:4, 1:4].all()
    changed[1:4, 1:4] = False
    assert not changed.any()
    assert (to_numpy(layer.matrices["3"]) != matrix).any()


def test_the_matrix_starts_as_identity():
    layer = ElasticConv2D(2, 5, kernel_sizes=(1, 3, 5))
    layer.build((None, 4, 4, 1))

    assert sorted(layer.matrices) == ["1", "3"]
    np.testing.assert_array_equal(to_numpy(layer.matrices["3"]), np.eye(9))
    assert layer.decisions()[0].options == (1, 3, 5)


def test_sampling_uses_all_pairs_and_one_trace(images):
    layer = elastic(sampling="uniform", seed=0)
    model = keras.Sequential([keras.Input((5, 6, 2)), layer])
    x = ops.convert_to_tensor(images)
    seen = set()
    for _ in range(24):
        outputs = to_numpy(model(x, training=True))
        seen.add(int((outputs != 0).any(axis=(0, 1, 2)).sum()))
    assert seen == {2, 3, 6}
    assert [int(d.draws) for d in layer.decisions()] == [24, 24]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"widths": (3, 2, 6)}, "`widths` must be in ascending order"),
        (
            {"widths": (2, 8)},
            "`widths` must end with 6, the value of",
        ),
        ({"widths": (0, 6)}, "`widths` must be an integer of at least 1"),
        ({"kernel_sizes": (2, 4, 5)}, "`kernel_sizes` must be odd"),
        (
            {"kernel_sizes": (3, 7)},
            "must end with 5, the value of `kernel",
        ),
        (
            {"kernel_sizes": (1, 5), "strides": 2},
            "`kernel_sizes` must be at least 2, the value of `strides`",
        ),
        ({"width": "stream"}, "`width` needs at least two `widths`"),
        (
            {"normalization": keras.layers.BatchNormalization(axis=1)},
            "`normalization` must normalize over the axis",
        ),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        ElasticConv2D(6, 5, **arguments).build((None, 4, 4, 2))
    assert "Received: " in str(error.value)


def test_other_normalizations_are_refused():
    with pytest.raises(TypeError, match="mix the units. Received: norm"):
        ElasticConv2D(6, 5, normalization=keras.layers.LayerNormalization())
