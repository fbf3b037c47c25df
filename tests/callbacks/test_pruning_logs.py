"""The share of zeros in the logs is that of what the model multiplies with."""

import keras
import numpy as np
import pytest
from callback_tools.pruning import fit, size, zeros

from keras_netopt import sparsity
from keras_netopt.callbacks import BestCheckpoint, Pruning
from keras_netopt.training import MaskStore, NotIntendedUseWarning

L = keras.layers
RNG = np.random.default_rng(0)
TOKENS = RNG.integers(0, 40, (32, 6)), RNG.random((32, 2))
TABLE = RNG.random((32, 8)), RNG.random((32, 2))


def compiled(*layers, shape, optimizer="sgd", **arguments):
    model = keras.Sequential([keras.Input(shape), *layers])
    model.compile(optimizer, "mse", **arguments)
    return model


def test_embeddings_count_as_kernels(tmp_path):
    model = compiled(
        L.Embedding(40, 5), L.Flatten(), L.Dense(8), L.Dense(2), shape=(6,)
    )
    best = BestCheckpoint(tmp_path / "a.keras", monitor="loss", sparsity=0.8)
    pruning = Pruning(0.8)
    logs = fit(model, TOKENS, pruning, best).history
    pruned, every = zeros(model), size(model) + 200

    assert logs["selected_sparsity"][-1] == pruned / size(model)
    assert logs["sparsity"][-1] == pruned / every
    assert pruned / every < 0.5
    for found in (sparsity.report(model), pruning.report()):
        assert (found.zeros, found.weights) == (pruned, every)
        assert found.sparsity == logs["sparsity"][-1]
        assert found.selected_sparsity == logs["selected_sparsity"][-1]
    # The target of `Pruning(sparsity)` is that of the selected weights.
    saved = keras.saving.load_model(tmp_path / "a.keras")
    assert sparsity.report(saved).zeros == pruned


def test_frozen_layers_count_as_kernels():
    model = compiled(L.Dense(8, trainable=False), L.Dense(2), shape=(8,))
    logs = fit(model, TABLE, Pruning(0.5)).history

    assert logs["selected_sparsity"][-1] == 0.5
    assert logs["sparsity"][-1] == 8 / 80


def test_weights_that_became_trainable_are_pruned():
    frozen = L.Dense(16)
    model = compiled(frozen, L.Dense(2), shape=(8,))
    frozen.trainable = False
    model.compile("sgd", "mse")
    pruning = Pruning(0.8)
    fit(model, TABLE, pruning, epochs=2)
    masks = MaskStore.of(model).masks()
    assert not (np.array(frozen.get_weights()[0]) == 0).any()

    frozen.trainable = True
    model.compile("sgd", "mse")
    logs = fit(model, TABLE, pruning, epochs=2).history
    assert zeros(model) == round(0.8 * size(model))
    assert logs["sparsity"][-1] == zeros(model) / size(model)
    for key, mask in masks.items():
        assert not (MaskStore.of(model).masks()[key] & ~mask).any()
    # A further fit keeps them.
    logs = fit(model, TABLE, pruning, epochs=1).history
    assert logs["sparsity"] == [zeros(model) / size(model)]


def test_lora_over_zeros_is_told_and_counted():
    model = compiled(L.Dense(16), L.Dense(16), L.Dense(2), shape=(8,))
    pruning = Pruning(0.8)
    fit(model, TABLE, pruning, epochs=2)
    for layer in model.layers[:2]:
        layer.enable_lora(2)
    model.compile(keras.optimizers.SGD(0.5), "mse")
    with pytest.warns(NotIntendedUseWarning, match="LoRA fills") as told:
        logs = fit(model, TABLE, pruning, epochs=2).history
    text = str(told.pop(NotIntendedUseWarning).message)
    assert "/kernel has zeros" in text and "load_weights" in text

    effective = [keras.ops.convert_to_numpy(k.kernel) for k in model.layers]
    count = sum(int((k == 0).sum()) for k in effective)
    total = sum(k.size for k in effective)
    assert logs["sparsity"][-1] == count / total < 0.5
    found = sparsity.report(model)
    assert (found.zeros, found.weights) == (count, total)


def test_lora_without_zeros_is_not_told():
    model = compiled(L.Dense(16), L.Dense(2), shape=(8,))
    model.layers[0].enable_lora(2)
    model.compile("sgd", "mse")
    fit(model, TABLE, Pruning(0.5), epochs=1)

    rows = {row.key: row for row in sparsity.report(model).rows}
    (kernel,) = [r for key, r in rows.items() if r.shape == (8, 16)]
    assert kernel.reason == "frozen under LoRA"
