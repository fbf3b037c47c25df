"""WeightNormalization: w = g v / ||v|| in every kind of layer."""

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops

import keras_netopt as netopt
from keras_netopt.layers import WeightNormalization

RNG = np.random.default_rng(0)
FAMILIES = {
    "dense": (lambda: L.Dense(5, activation="relu"), (3, 4)),
    "einsum": (
        lambda: L.EinsumDense("abc,cde->abde", (6, 2, 3), bias_axes="de"),
        (3, 6, 4),
    ),
    "conv": (lambda: L.Conv2D(6, 3, groups=2), (2, 5, 5, 4)),
    "transposed": (lambda: L.Conv2DTranspose(5, 3, strides=2), (2, 4, 4, 2)),
    "depthwise": (lambda: L.DepthwiseConv1D(3, depth_multiplier=2), (2, 5, 3)),
    "separable": (lambda: L.SeparableConv1D(6, 3), (2, 5, 4)),
    "lstm": (lambda: L.LSTM(3, return_state=True), (2, 4, 4)),
    "bidirectional": (lambda: L.Bidirectional(L.GRU(3)), (2, 4, 4)),
    "stacked": (lambda: L.RNN([L.GRUCell(2), L.SimpleRNNCell(3)]), (2, 3, 4)),
    "distributed": (lambda: L.TimeDistributed(L.Dense(4)), (2, 3, 4)),
}


def to_numpy(tensor):
    return np.array(ops.convert_to_numpy(ops.stop_gradient(tensor)))


def flat(structure):
    return [to_numpy(one) for one in keras.tree.flatten(structure)]


def perturb(layer):
    """Gives every g and every v of a layer other values."""
    for v, g, _ in layer.normalized_kernels():
        g.assign(RNG.uniform(0.5, 2.0, g.shape))
        v.assign(RNG.normal(size=v.shape))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_new_wrapper_computes_the_same(family):
    make, shape = FAMILIES[family]
    x = RNG.normal(size=shape).astype("float32")
    layer = make()
    plain = flat(layer(x))
    wrapped = WeightNormalization(layer)

    for one, other in zip(plain, flat(wrapped(x)), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    perturb(wrapped)
    changed = flat(wrapped(x))
    assert any(
        abs(a - b).max() > 1e-3 for a, b in zip(plain, changed, strict=True)
    )
    # The same kernels in the plain layer: the wrapper does nothing else.
    for v, _, w in wrapped.normalized_kernels():
        v.assign(to_numpy(w))
    for one, other in zip(flat(layer(x)), changed, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize(
    ("family", "axes"),
    [
        ("dense", (0,)),
        ("einsum", (0,)),
        ("conv", (0, 1, 2)),
        ("transposed", (0, 1, 3)),
        ("depthwise", (0,)),
        ("lstm", (0,)),
    ],
)
def test_g_is_the_norm_of_each_output_unit(family, axes):
    make, shape = FAMILIES[family]
    layer = WeightNormalization(make())
    layer.build(shape)
    perturb(layer)

    for _, g, w in layer.normalized_kernels():
        lengths = np.sqrt(np.square(to_numpy(w)).sum(axis=axes))
        np.testing.assert_allclose(lengths.ravel(), to_numpy(g), rtol=1e-5)


def test_gradients_are_those_of_the_formula(train, x):
    """dL/dv has no part along v, so SGD never shortens v."""
    layer = WeightNormalization(L.Dense(3))
    layer.build((None, 4))
    ((v, g, _),) = layer.normalized_kernels()
    before = [np.linalg.norm(to_numpy(v), axis=0), to_numpy(g)]
    train(layer, x, epochs=3, optimizer=keras.optimizers.SGD(0.1))
    after = [np.linalg.norm(to_numpy(v), axis=0), to_numpy(g)]

    assert (after[0] >= before[0] - 1e-6).all()
    assert (abs(after[1] - before[1]) > 1e-5).all()


def test_a_unit_of_zeros_stays_zero_and_finite(train, x):
    layer = WeightNormalization(L.Dense(2))
    layer.build((None, 4))
    ((v, g, _),) = layer.normalized_kernels()
    v.assign(np.array([[1.0, 0.0]] * 4))
    layer.reset_g()
    np.testing.assert_allclose(to_numpy(g), [2.0, 0.0])
    model, losses = train(layer, x)

    assert np.isfinite(losses).all()
    w = to_numpy(layer.normalized_kernels()[0][2])
    assert (w[:, 1] == 0).all() and (w[:, 0] != 0).all()


def test_a_mask_reaches_the_layer():
    inputs = np.array([[1, 2, 0], [3, 0, 0]])
    embedding = L.Embedding(5, 4, mask_zero=True)
    gru = L.GRU(3, return_sequences=True)
    stack = [embedding, WeightNormalization(gru), L.LSTM(2)]
    wrapped = keras.Sequential(stack)
    wrapped.build((None, 3))
    plain = keras.Sequential([embedding, gru, stack[2]])

    np.testing.assert_allclose(
        to_numpy(wrapped(inputs)), to_numpy(plain(inputs)), atol=1e-6
    )
    mask = stack[1].compute_mask(None, np.array([[True, False]]))
    assert mask.tolist() == [[True, False]]


def test_a_regularizer_acts_on_the_normalized_kernel(train, x):
    dense = L.Dense(2, kernel_regularizer=keras.regularizers.L2(0.5))
    layer = WeightNormalization(dense)
    layer(x)
    perturb(layer)
    w = to_numpy(layer.normalized_kernels()[0][2])

    (loss,) = layer.losses
    np.testing.assert_allclose(to_numpy(loss), 0.5 * (w**2).sum(), rtol=1e-5)
    train(layer, x)  # It is part of a compiled step, too.


def test_files_and_frozen_layers(train, x, tmp_path):
    layer = WeightNormalization(L.Dense(3, trainable=False))
    assert not layer.trainable
    model, _ = train(WeightNormalization(L.Dense(3), name="wn"), x)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")

    assert loaded.get_layer("wn").layer.units == 3
    assert np.array_equal(
        loaded.predict(x, verbose=0), model.predict(x, verbose=0)
    )


def test_half_precision_normalizes_in_float32():
    """Squares of a long float16 kernel would overflow."""
    dense = L.Dense(2, dtype="mixed_float16", kernel_initializer="ones")
    dense.build((None, 400))
    dense.kernel.assign(np.full((400, 2), 30.0))
    layer = WeightNormalization(dense)
    outputs = layer(np.full((1, 400), 0.01, "float32"))

    assert keras.backend.standardize_dtype(outputs.dtype) == "float16"
    np.testing.assert_allclose(to_numpy(outputs), 120.0, rtol=1e-2)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: "dense", TypeError, "be a Keras layer"),
        (lambda: keras.Sequential([L.Dense(2)]), ValueError, "no model; for"),
        (lambda: L.MultiHeadAttention(2, 2), ValueError, "with one input"),
        (
            lambda: WeightNormalization(L.Dense(2)),
            ValueError,
            "without a WeightNormalization",
        ),
        (
            lambda: L.SpectralNormalization(L.Dense(2)),
            ValueError,
            "without a SpectralNormalization",
        ),
        (lambda: L.Activation("relu"), ValueError, "a weight named `kernel`"),
        (
            lambda: L.Dense(2, kernel_constraint="non_neg"),
            ValueError,
            "no kernel constraint",
        ),
        (
            lambda: L.GRU(2, recurrent_initializer="zeros"),
            ValueError,
            "recurrent_initializer=",
        ),
        (
            lambda: L.Dense(2, dtype="int8_from_float32"),
            ValueError,
            "not quantized",
        ),
    ],
)
def test_layers_that_cannot_be_normalized_are_refused(make, error, text):
    with pytest.raises(error, match=f"Argument `layer` must .*{text}") as info:
        WeightNormalization(make()).build((2, 3, 4))
    assert "Received: layer=" in str(info.value)


def test_a_kernel_replaced_by_quantization_is_refused(x):
    model = keras.Sequential(
        [keras.Input((4,)), WeightNormalization(L.Dense(2))]
    )
    model.layers[0].layer.quantize("int8")
    with pytest.raises(ValueError, match="remove_weight_normalization"):
        model(x)


def test_surgery_names_the_remedy():
    model = keras.Sequential(
        [
            keras.Input((4,)),
            WeightNormalization(L.Dense(6, name="inner"), name="hidden"),
            L.Dense(2),
        ]
    )
    with pytest.raises(ValueError, match="remove_weight_normalization"):
        netopt.surgery.widen(model, "inner", add=2)
    plain = netopt.fine_tuning.remove_weight_normalization(model)
    netopt.surgery.widen(plain, "hidden", add=2)
    assert plain.get_layer("hidden").units == 8


def test_pruned_weights_and_a_trained_grid_survive_folding(x):
    y = np.arange(16) % 3
    for callback in (
        netopt.callbacks.Pruning(0.5),
        netopt.callbacks.Quantization(4, include="hidden"),
    ):
        model = keras.Sequential(
            [
                keras.Input((4,)),
                WeightNormalization(L.Dense(8), name="hidden"),
                WeightNormalization(L.Dense(3), name="out"),
            ]
        )
        model.compile("adam", "sparse_categorical_crossentropy")
        model.fit(x, y, epochs=2, verbose=0, callbacks=[callback])
        plain = netopt.fine_tuning.remove_weight_normalization(model)
        w = to_numpy(plain.get_layer("hidden").kernel)
        if isinstance(callback, netopt.callbacks.Pruning):
            report = netopt.sparsity.report(plain)
            assert report.sparsity == pytest.approx(0.5, abs=0.01)
        else:
            steps = abs(w).max(axis=0) / 7
            np.testing.assert_allclose(
                w / steps, np.round(w / steps), atol=1e-4
            )


def test_each_kernel_counts_its_macs():
    model = keras.Sequential(
        [keras.Input((4,)), WeightNormalization(L.Dense(8))]
    )
    report = netopt.cost.summarize(model)
    assert (report.macs, report.params) == (32, 48)
