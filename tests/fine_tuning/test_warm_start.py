"""warm_start: matching, slices, shrink and perturb, refusals."""

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops

from keras_netopt.fine_tuning import warm_start
from keras_netopt.layers import WeightNormalization


def values(model):
    return [np.array(ops.convert_to_numpy(v.value)) for v in model.weights]


def mlp(width=6, classes=3, names=("hidden", "head"), extra=0):
    stack = [keras.Input((4,)), L.Dense(width, name=names[0])]
    stack += [L.Dense(width) for _ in range(extra)]
    return keras.Sequential([*stack, L.Dense(classes, name=names[1])])


def same(one, other):
    return [
        a.shape == b.shape and np.array_equal(a, b)
        for a, b in zip(values(one), values(other), strict=True)
    ]


def reasons(report):
    return {row.key: row.reason for row in report.rows if row.reason}


def test_named_layers_are_matched_by_path():
    """The order differs, and layers of one shape are between them."""
    old = keras.Sequential(
        [keras.Input((4,)), L.Dense(4, name="b"), L.Dense(4, name="a")]
    )
    new = keras.Sequential(
        [
            keras.Input((4,)),
            *[L.Dense(4, name=name) for name in ("a", "c", "b")],
        ]
    )
    before = values(new)
    report = warm_start(new, old)

    assert same(new.get_layer("a"), old.get_layer("a")) == [True, True]
    assert same(new.get_layer("b"), old.get_layer("b")) == [True, True]
    assert np.array_equal(values(new)[2], before[2])
    assert report.fresh == ("c/kernel", "c/bias")
    assert set(reasons(report).values()) == {"no layer of the source fits"}
    assert report.unused == ()


def test_automatic_names_are_matched_by_kind_shape_and_order():
    """Their numbers depend on what was built before."""
    L.Dense(2), L.Dense(2)

    def net(extra):
        inner_inputs = keras.Input((6, 4))
        inner = keras.Model(inner_inputs, L.Conv1D(4, 3)(inner_inputs))
        x = inputs = keras.Input((6, 4))
        x = L.BatchNormalization()(inner(x))
        if extra:
            x = L.LayerNormalization()(L.Dense(5)(x))
        x = L.Bidirectional(L.GRU(3, return_sequences=True))(x)
        x = L.MultiHeadAttention(2, 2)(x, x)
        return keras.Model(inputs, L.Dense(2)(x))

    old, new = net(False), net(False)
    report = warm_start(new, old)
    assert all(same(new, old)) and not report.fresh and not report.unused

    report = warm_start(net(True), old)
    fresh = [key.split("/")[0].rstrip("_0123456789") for key in report.fresh]
    # The inserted layers, and the kernels that take their 5 outputs.
    assert sorted(fresh) == [
        *("bidirectional", "bidirectional", "dense", "dense"),
        *("layer_normalization", "layer_normalization"),
    ]


@pytest.mark.parametrize("normalized", ["model", "source", "both"])
def test_weight_normalization_on_either_side_keeps_the_outputs(normalized):
    """v without its g, or a g without its v, gave other outputs."""

    def net(is_normalized):
        x = inputs = keras.Input((5, 4))
        for layer in (L.GRU(6, name="gru"), L.Dense(3, name="head")):
            x = (WeightNormalization(layer) if is_normalized else layer)(x)
        return keras.Model(inputs, x)

    old, new = net(normalized != "model"), net(normalized != "source")
    for layer in old.layers:
        if isinstance(layer, WeightNormalization):
            for _, g, _ in layer.normalized_kernels():
                g.assign(g.value * 3.0)
    report = warm_start(new, old)
    x = np.random.default_rng(0).normal(size=(8, 5, 4)).astype("float32")
    found, wanted = (ops.convert_to_numpy(one(x)) for one in (new, old))

    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert not report.fresh and not report.unused
    norms = set(reasons(report).values())
    assert norms == (
        {"norms of the kernel"} if normalized == "model" else set()
    )


def test_another_head_stays_fresh():
    old, new = mlp(), mlp(classes=5)
    before = values(new)
    report = warm_start(new, old)

    assert report.copied == ("hidden/kernel", "hidden/bias")
    assert np.array_equal(values(new)[2], before[2])
    assert reasons(report)["head/kernel"] == "the source has shape (6, 3)"
    assert report.unused == ("head/kernel", "head/bias")
    text = str(report)
    assert "2 copied, 0 resized, 2 fresh." in text and "Not used" in text


def test_a_renamed_head_of_the_same_shape_stays_fresh():
    report = warm_start(mlp(names=("hidden", "task2")), mlp())
    assert report.fresh == ("task2/kernel", "task2/bias")


@pytest.mark.parametrize(
    ("selectors", "copied"),
    [
        ({"exclude": "last"}, ("hidden/kernel", "hidden/bias")),
        ({"include": "kernel$"}, ("hidden/kernel", "head/kernel")),
        ({"include": "head", "exclude": "bias$"}, ("head/kernel",)),
    ],
)
def test_selectors_choose_the_weights(selectors, copied):
    report = warm_start(mlp(), mlp(), **selectors)
    assert report.copied == copied
    assert set(reasons(report).values()) <= {"excluded", "not included"}


@pytest.mark.parametrize("widths", [(4, 6), (6, 4)])
def test_leading_slices_are_copied_if_asked_for(widths):
    old, new = mlp(widths[0]), mlp(widths[1])
    before = values(new)
    assert warm_start(new, old).copied == ("head/bias",)
    new.set_weights(before)
    report = warm_start(new, old, partial=True)
    after, given = values(new), values(old)

    assert report.resized == ("hidden/kernel", "hidden/bias", "head/kernel")
    np.testing.assert_array_equal(after[0][:, :4], given[0][:, :4])
    np.testing.assert_array_equal(after[2][:4], given[2][:4])
    np.testing.assert_array_equal(after[0][:, 4:], before[0][:, 4:])
    assert reasons(report)["hidden/kernel"] == f"(4, 4) of (4, {widths[0]})"


def test_gates_are_not_sliced():
    """The first columns of a wider LSTM are units of other gates."""

    def net(kind, units):
        return keras.Sequential([keras.Input((3, 4)), kind(units), L.Dense(2)])

    report = warm_start(net(L.LSTM, 5), net(L.LSTM, 3), partial=True)
    assert len(report.fresh) == 3 and len(report.resized) == 1
    assert "its gates lie side by side" in reasons(report).values()
    simple = net(L.SimpleRNN, 5), net(L.SimpleRNN, 3)
    assert len(warm_start(*simple, partial=True).resized) == 4


def test_shrink_and_perturb_uses_the_initial_values():
    def net():
        return keras.Sequential(
            [
                keras.Input((4,)),
                L.Dense(3, name="hidden"),
                L.BatchNormalization(name="norm"),
                L.Dense(2, name="frozen", trainable=False),
            ]
        )

    old, new = net(), net()
    for variable in old.get_layer("norm").weights:
        variable.assign([2.0, 3.0, 4.0])
    before, given = values(new), values(old)
    report = warm_start(new, old, shrink=0.4, noise=0.1)
    trained = {id(v) for v in new.trainable_variables}
    for variable, after, start, source in zip(
        new.weights, values(new), before, given, strict=True
    ):
        expected = source  # Statistics and frozen weights are copied.
        if id(variable) in trained:
            expected = 0.4 * source + 0.1 * start
        np.testing.assert_allclose(after, expected, rtol=1e-6)
    assert "0.4 x source + 0.1 x initial values" in str(report)


def test_the_source_may_be_a_file(tmp_path):
    old, new = mlp(), mlp()
    old.save(tmp_path / "old.keras")
    warm_start(new, tmp_path / "old.keras")
    assert all(same(new, old))
    for name in ("old.weights.h5", "missing.keras"):
        with pytest.raises(ValueError, match="existing file that ends in"):
            warm_start(new, tmp_path / name)


def test_the_models_are_independent_afterwards():
    """On JAX, a training step deletes the tensors that it replaces."""
    old, new = mlp(), mlp()
    warm_start(new, old)
    new.compile("sgd", "mse")
    new.fit(np.ones((4, 4)), np.ones((4, 3)), verbose=0)
    assert not any(same(new, old))


def test_normalization_uses_the_copied_statistics():
    def net(data):
        normalize = L.Normalization()
        normalize.adapt(data)
        return keras.Sequential([keras.Input((4,)), normalize, L.Dense(2)])

    x = np.random.default_rng(0).normal(3, 2, (16, 4)).astype("float32")
    old, new = net(x), net(np.zeros((2, 4)))
    warm_start(new, old)
    found, expected = (np.array(ops.convert_to_numpy(m(x))) for m in (new, old))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_nothing_is_silent():
    new = mlp(5, 4)
    before = values(new)
    for source, text in (
        (mlp(6, 3), "all stay fresh: hidden/kernel .the source has shape"),
        (new, "shares no weights"),
        (keras.Sequential([L.Dense(2)]), "must be built"),
    ):
        with pytest.raises(ValueError, match=f"Argument `source` .*{text}"):
            warm_start(new, source)
    with pytest.raises(ValueError, match="`noise` must be above 0"):
        warm_start(new, mlp(5, 4), shrink=0.0)
    assert all(map(np.array_equal, before, values(new)))
