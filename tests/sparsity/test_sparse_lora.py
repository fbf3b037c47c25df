"""`enable_lora` and `merge_lora` keep the zeros of pruned kernels."""

import keras
import numpy as np
import pytest
from keras import layers

import keras_netopt as netopt
from keras_netopt.sparsity import enable_lora, merge_lora, prune
from keras_netopt.training import MaskStore, NotIntendedUseWarning

RNG = np.random.default_rng(0)


def build(compiled=True):
    """Dense, EinsumDense, Conv1D and the four kernels of attention."""
    keras.utils.set_random_seed(1)
    x = inputs = keras.Input((8, 6))
    x = layers.Conv1D(8, 3, padding="causal", name="conv")(x)
    x = x + layers.MultiHeadAttention(2, 4, name="attention")(x, x)
    x = layers.EinsumDense("abc,cd->abd", (8, 8), name="einsum")(x)
    x = layers.LayerNormalization(name="norm")(x)
    x = layers.Dense(5, name="dense")(layers.Flatten()(x))
    model = keras.Model(inputs, x)
    prune(model, 0.5, allocation="uniform")
    if compiled:
        model.compile("adam", "mse")
    return model


def small():
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((8, 6)),
            layers.EinsumDense("abc,cd->abd", (8, 4), name="einsum"),
            layers.Flatten(),
            layers.Dense(5, name="dense"),
        ]
    )
    prune(model, 0.5, allocation="uniform")
    model.compile("sgd", "mse")
    return model


X = RNG.normal(size=(16, 8, 6)).astype("float32")
Y = RNG.normal(size=(16, 5)).astype("float32")


def outputs(model):
    return keras.ops.convert_to_numpy(model(X))


def zeros_of(model):
    """Places of the zeros of all kernels, by their order."""
    return [
        np.array(keras.ops.convert_to_numpy(v)) == 0
        for v in model.weights
        if v.name == "kernel"
    ]


def assert_zeros(model, zeros):
    found = zeros_of(model)
    assert len(found) == len(zeros) > 1
    for mine, theirs in zip(found, zeros, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def train(model, **options):
    options = {"batch_size": 8, "epochs": 2, "verbose": 0, **options}
    return model.fit(X, Y, **options).history["loss"]


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """A model after training, with its files and what it computed."""
    folder = tmp_path_factory.mktemp("lora")
    model = build()
    zeros, start = zeros_of(model), outputs(model)
    kernels = {v.path: np.array(v) for v in model.weights if v.name == "kernel"}
    paths = enable_lora(model, rank=2, alpha=4)
    same = outputs(model)
    loss = train(model, epochs=6)
    model.save(folder / "tuned.keras")
    model.save_weights(folder / "tuned.weights.h5")
    frozen = {
        v.path: np.array_equal(np.array(v), kernels[v.path])
        for v in model.weights
        if v.path in kernels
    }
    logs = netopt.sparsity.report(model)
    trained = sorted(v.name for v in model.trainable_variables)
    before = outputs(model)
    merged = merge_lora(model)
    return locals()


def test_training_moves_the_product_only(tuned):
    """Kernels are frozen; biases and norms train, as in Keras."""
    np.testing.assert_array_equal(tuned["start"], tuned["same"])
    assert tuned["loss"][-1] < tuned["loss"][0]
    assert all(tuned["frozen"].values()) and len(tuned["frozen"]) == 7
    assert tuned["trained"] == sorted(
        ["lora_kernel_a", "lora_kernel_b"] * 7
        + ["bias"] * 6
        + ["beta", "gamma"]
    )
    assert len(tuned["paths"]) == 7 and tuned["paths"] == tuned["merged"]


def test_the_merged_model_computes_the_same_with_all_zeros(tuned):
    model = tuned["model"]
    np.testing.assert_allclose(outputs(model), tuned["before"], atol=1e-6)
    assert_zeros(model, tuned["zeros"])
    assert np.abs(tuned["before"] - tuned["start"]).max() > 1e-3
    assert not any("lora" in v.path for v in model.weights)
    assert {type(layer) for layer in model.layers} == {
        type(layer) for layer in build(compiled=False).layers
    }


def test_files_hold_the_merged_kernels(tuned):
    """As plain layers: no LoRA that is dead or fills zeros."""
    with pytest.warns(UserWarning, match="Skipping variable loading"):
        saved = keras.saving.load_model(tuned["folder"] / "tuned.keras")
    plain = build(compiled=False)
    plain.load_weights(tuned["folder"] / "tuned.weights.h5")
    for model in (saved, plain):
        assert_zeros(model, tuned["zeros"])
        assert not any("lora" in v.path for v in model.weights)
        np.testing.assert_allclose(outputs(model), tuned["before"], atol=1e-6)
        assert type(model.get_layer("dense")) is layers.Dense


def test_a_merged_model_is_tuned_again_without_masks(tuned):
    model = keras.models.clone_model(tuned["model"])
    model.set_weights(tuned["model"].get_weights())
    model.compile("sgd", "mse")
    assert MaskStore.of(model) is None
    enable_lora(model, rank=1)
    train(model, epochs=1)
    merge_lora(model)
    assert_zeros(model, tuned["zeros"])


def test_loaded_weights_train_on(tuned):
    """Keras sets both matrices to zero: then neither has a gradient."""
    model = build()
    enable_lora(model, rank=2)
    model.optimizer.build(model.trainable_variables)
    model.load_weights(tuned["folder"] / "tuned.weights.h5")
    np.testing.assert_allclose(outputs(model), tuned["before"], atol=1e-6)
    kernel_b = model.get_layer("dense").lora_kernel_b
    train(model, epochs=1)
    assert np.array(kernel_b).any()
    assert_zeros(model, tuned["zeros"])


def test_masks_hold_after_the_merge():
    model = small()
    train(model, callbacks=[netopt.callbacks.Pruning(0.5)], epochs=4)
    zeros = zeros_of(model)
    enable_lora(model, rank=2)
    train(model)
    merge_lora(model)
    train(model)
    assert_zeros(model, zeros)


def test_kernels_are_saved_in_full_precision(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = small()
        zeros = zeros_of(model)
        enable_lora(model, rank=2)
        train(model, epochs=1)
        model.save_weights(tmp_path / "mixed.weights.h5")
        plain = small()
        plain.load_weights(tmp_path / "mixed.weights.h5")
        merge_lora(model)
        for mine, theirs in zip(
            model.get_weights(), plain.get_weights(), strict=True
        ):
            np.testing.assert_array_equal(mine, theirs)
        assert_zeros(model, zeros)
    finally:
        keras.config.set_dtype_policy("float32")


def test_embeddings_are_adapted_on_request():
    model = keras.Sequential(
        [keras.Input((3,), dtype="int32"), layers.Embedding(9, 4, name="table")]
    )
    prune(model, 0.5, include="table")
    table = model.layers[0]
    zeros = table.get_weights()[0] == 0
    with pytest.raises(ValueError, match="layer to adapt"):
        enable_lora(model)
    assert enable_lora(model, include="table") == ("table",)
    model.compile("adam", "mse")
    model.fit(np.arange(9).reshape(3, 3), np.ones((3, 3, 4)), verbose=0)
    merge_lora(model)
    np.testing.assert_array_equal(table.get_weights()[0] == 0, zeros)


def test_zeros_that_training_fills_are_warned_of():
    with pytest.warns(NotIntendedUseWarning, match="einsum/kernel has zeros"):
        enable_lora(small(), exclude="einsum")


def test_pruning_does_not_warn_of_sparse_pairs():
    """Its warning is for pairs of Keras, which fill the zeros."""
    model = small()
    with pytest.warns(NotIntendedUseWarning, match="einsum/kernel has zeros"):
        enable_lora(model, include="dense")
    callback = netopt.callbacks.Pruning(0.6, include="einsum")
    train(model, callbacks=[callback], epochs=4)
    assert callback.report().sparsity > 0.5


def adapted():
    model = small()
    enable_lora(model, include="dense")
    return model


def quantized():
    model = small()
    model.get_layer("dense").quantize("int8")
    return model


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_bad_input_leaves_the_model_alone():
    constrained = keras.Sequential(
        [keras.Input((4,)), layers.Dense(2, kernel_constraint="non_neg")]
    )
    frozen = small()
    frozen.get_layer("dense").trainable = False
    cases = [
        (small, {"rank": 0}, "`rank`.*Received: rank=0"),
        (small, {"rank": 1.5}, "`rank`"),
        (small, {"alpha": 0.0}, "`alpha`"),
        (small, {"include": "nowhere"}, "`include`.*nowhere"),
        (small, {"exclude": ".*"}, "layer to adapt"),
        (adapted, {}, "`dense`.*LoRA already.*merge_lora"),
        (quantized, {}, "`dense`.*quantized"),
        (lambda: constrained, {}, "constraint"),
        (lambda: frozen, {}, "`dense`.*frozen"),
    ]
    for make, options, message in cases:
        model = make()
        weights = [v.path for v in model.weights]
        with pytest.raises((TypeError, ValueError), match=message):
            enable_lora(model, **options)
        assert [v.path for v in model.weights] == weights, message
    with pytest.raises(ValueError, match="enable_lora"):
        merge_lora(small())
    with pytest.raises(NotImplementedError):  # By Keras, for a subclass.
        adapted().get_layer("dense").quantize("int8")
