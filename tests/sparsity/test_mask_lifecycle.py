"""After training: masks applied again, removed, read from files."""

import keras
import numpy as np
import pytest
from damaged_files import damage

from keras_netopt import quantization, sparsity
from keras_netopt.callbacks import Pruning, Quantization
from keras_netopt.training import CheckpointState, MaskStore

EAGER = keras.backend.backend() == "tensorflow"  # Tracing takes longer.


@pytest.fixture
def pruned(make_mlp, toy_data):
    model = make_mlp("sgd", run_eagerly=EAGER)
    model.fit(*toy_data, batch_size=16, verbose=0, callbacks=[Pruning(0.8)])
    return model


def share(model):
    return sparsity.report(model).sparsity


def test_apply_masks_prunes_restored_weights_again(pruned, make_mlp):
    masks = MaskStore.of(pruned).masks()
    pruned.set_weights(make_mlp().get_weights())
    assert share(pruned) < 0.1
    sparsity.apply_masks(pruned)

    assert share(pruned) == pytest.approx(0.8, abs=0.005)
    for key, weight in MaskStore.of(pruned).weights().items():
        np.testing.assert_array_equal(weight != 0, masks[key])


def test_remove_masks_keeps_zeros_and_lets_them_train(make_mlp, toy_data):
    """In the compiled step too."""
    pruned = make_mlp(keras.optimizers.SGD(0.01, momentum=0.9))
    pruned.fit(*toy_data, batch_size=16, verbose=0, callbacks=[Pruning(0.8)])
    before = share(pruned)
    sparsity.remove_masks(pruned)

    assert share(pruned) == before
    assert MaskStore.of(pruned) is None
    assert pruned.get_layer("hidden").kernel.constraint is None
    assert not any("mask" in v.name for v in pruned.optimizer.variables)
    pruned.fit(*toy_data, verbose=0)
    assert share(pruned) < before


def test_remove_masks_keeps_the_masters_of_quantized_kernels(
    make_mlp, toy_data
):
    """Else kernels are rounded by masters that nothing finds or saves."""
    model = make_mlp("sgd", run_eagerly=EAGER)
    pair = [Pruning(0.5), Quantization(4)]
    model.fit(*toy_data, batch_size=16, verbose=0, callbacks=pair)
    sparsity.remove_masks(model)
    quantization.remove_masters(model)
    model.fit(*toy_data, verbose=0)
    assert quantization.report(model).rows[0].bits is None


def test_a_callback_prunes_again_after_remove_masks(make_mlp, toy_data):
    model, pruning = make_mlp("sgd", run_eagerly=EAGER), Pruning(0.8)
    model.fit(*toy_data, batch_size=16, verbose=0, callbacks=[pruning])
    sparsity.remove_masks(model)
    model.fit(*toy_data, verbose=0)
    assert share(model) < 0.5
    model.fit(*toy_data, batch_size=16, verbose=0, callbacks=[pruning])

    assert share(model) == pytest.approx(0.8, abs=0.005)


@pytest.mark.parametrize("name", ["m.keras", "m.weights.h5"])
def test_load_masks_reads_both_kinds_of_file(
    pruned, make_mlp, toy_data, tmp_path, name
):
    path = tmp_path / name
    if name.endswith("keras"):
        pruned.save(path)
        twin = keras.saving.load_model(path)
        twin.run_eagerly = EAGER
    else:
        pruned.save_weights(path)
        twin = make_mlp("sgd", run_eagerly=EAGER)
        twin.optimizer.build(twin.trainable_variables)
        twin.load_weights(path)
    found = sparsity.load_masks(twin, path)
    twin.fit(*toy_data, verbose=0)

    assert found.sparsity == share(pruned) == share(twin)
    for mine, theirs in zip(
        MaskStore.of(pruned).masks().values(),
        MaskStore.of(twin).masks().values(),
        strict=True,
    ):
        np.testing.assert_array_equal(mine, theirs)


def test_load_masks_rejects_a_file_without_masks(make_mlp, tmp_path):
    model = make_mlp()
    path = tmp_path / "plain.keras"
    model.save(path)
    with pytest.raises(ValueError) as error:
        sparsity.load_masks(model, path)

    assert str(error.value) == (
        "Argument `path` must be a file saved from a pruned model, but it "
        f"holds no masks. Received: path={str(path)!r}"
    )


def test_load_masks_rejects_an_uncompiled_model(pruned, tmp_path):
    path = tmp_path / "m.keras"
    pruned.save(path)
    plain = keras.Sequential([keras.Input((8,)), keras.layers.Dense(3)])
    plain.name = "net"
    with pytest.raises(ValueError, match="must be compiled"):
        sparsity.load_masks(plain, path)


def test_load_masks_of_another_model_changes_nothing(pruned, tmp_path):
    path = tmp_path / "m.keras"
    pruned.save(path)
    other = keras.Sequential([keras.Input((8,)), keras.layers.Dense(3)])
    other.compile("sgd", "mse")
    for damaged in (path, *(copy for _, copy in damage(path))):
        with pytest.raises((ValueError, FileNotFoundError)):
            sparsity.load_masks(other, damaged)

        assert MaskStore.of(other) is None
        assert not [v for v in other.optimizer.variables if "mask" in v.path]


def test_load_masks_of_a_missing_file_raises(make_mlp, tmp_path):
    with pytest.raises(OSError):
        sparsity.load_masks(make_mlp(), tmp_path / "none.keras")


@pytest.mark.parametrize(
    "function", [sparsity.apply_masks, sparsity.remove_masks]
)
def test_a_model_without_masks_is_rejected(function, make_mlp):
    model = make_mlp()
    with pytest.raises(ValueError) as error:
        function(model)

    assert str(error.value) == (
        "Argument `model` must have masks: train it with `callbacks.Pruning`, "
        f"or use `sparsity.load_masks`. Received: model={model.name!r}"
    )


def test_a_model_without_masks_saves_no_pruning_state(
    pruned, make_mlp, tmp_path
):
    sparsity.remove_masks(pruned)
    pruned.save_weights(tmp_path / "m.weights.h5")
    checkpoint_state = CheckpointState.of(make_mlp())
    checkpoint_state.read(tmp_path / "m.weights.h5")

    assert checkpoint_state.loads == 0
