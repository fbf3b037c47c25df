"""recipe: what it chooses, and that a fit with it meets the target."""

import json

import keras
import numpy as np
import pytest
from keras import layers

import keras_netopt as netopt
from keras_netopt.callbacks import ChannelPruning
from keras_netopt.compression.target_meter import TargetMeter
from keras_netopt.compression.target_share import TargetShare
from keras_netopt.surgery.cutting import width_search

Target = netopt.Target
X = np.random.default_rng(0).normal(size=(32, 12)).astype("float32")
Y = (np.arange(32) % 4).astype("int32")


def build(width=64):
    model = keras.Sequential(
        [
            keras.Input((12,)),
            layers.Dense(width, activation="relu", name="one"),
            layers.Dense(width, activation="relu", name="two"),
            layers.Dense(4, name="out"),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.05), loss)
    return model


def fit(model, callbacks, epochs=6, **changed):
    return model.fit(
        X,
        Y,
        batch_size=16,
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=callbacks,
        **changed,
    ).history


def macs(model):
    return netopt.cost.summarize(model).macs


@pytest.mark.no_backend
def test_the_target_decides_which_callbacks_are_listed():
    cut, grid = "ChannelPruning", "Quantization"
    expected = {
        Target(kilobytes=60): ([cut, grid], 4),
        Target(kilobytes=60, io="int8"): ([cut, grid], 8),
        Target(gzip_kilobytes=9): ([cut, "Pruning", grid], 4),
        Target(macs=0.5): ([cut, grid], 8),
        Target(gzip_kilobytes=9, macs=0.5): ([cut, "Pruning", grid], 8),
        Target(latency_ratio=0.5): ([cut, grid], 8),
    }
    for target, (names, bits) in expected.items():
        found = netopt.recipe(target)
        assert [type(one).__name__ for one in found] == names, target
        assert found[-1].bits == bits, target
    taught = netopt.recipe(Target(macs=0.5), teacher=build())
    assert [type(one).__name__ for one in taught] == [
        cut,
        "Distillation",
        grid,
    ]
    scored = netopt.recipe(Target(macs=0.5), calibration_data=(X, Y))
    assert scored[0].score == "taylor"


def test_a_fit_meets_a_share_of_the_macs_with_a_teacher():
    model, teacher = build(), build(128)
    before = macs(model)
    callbacks = netopt.recipe(Target(macs=0.5), teacher=teacher, min_channels=4)
    history = fit(model, callbacks)

    assert 0.4 * before < macs(model) <= 0.5 * before
    assert callbacks[0].is_complete
    assert all(row.bits == 8 for row in netopt.quantization.report(model).rows)
    assert history["distillation_loss"][-1] > 0


@pytest.mark.backend("tensorflow", "jax")
def test_the_file_after_the_fit_meets_the_target(tmp_path, monkeypatch):
    monkeypatch.setattr(width_search, "MEASUREMENTS", 3)  # Files take long.
    model = build(96)
    target = Target(kilobytes=9, io="int8")
    fit(model, netopt.recipe(target))
    path = tmp_path / "model.tflite"
    netopt.export.to_litert(model, path, quantize="int8", quantized_io=True)

    assert 0.5 * 9000 < path.stat().st_size <= 9000


@pytest.mark.no_backend
def test_a_model_that_meets_the_target_is_not_cut():
    model = build(16)
    before = macs(model)
    fit(model, netopt.recipe(Target(macs=int(before))))

    assert macs(model) == before


@pytest.mark.no_backend
def test_a_target_that_no_cut_meets_is_refused_before_training():
    model = build()
    before = [np.array(w) for w in model.get_weights()]
    with pytest.raises(ValueError) as error:
        fit(model, netopt.recipe(Target(macs=50)))

    assert "macs is 3.84 times" in str(error.value)
    assert "Received: target=Target(macs=50)" in str(error.value)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.no_backend
def test_a_model_without_channels_to_cut_is_refused_where_it_misses():
    def build_single():
        model = keras.Sequential([keras.Input((12,)), layers.Dense(4)])
        model.compile(
            keras.optimizers.SGD(0.01),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        return model

    with pytest.raises(ValueError, match="macs is 1.2 times its limit"):
        fit(build_single(), netopt.recipe(Target(macs=40)))
    fit(build_single(), netopt.recipe(Target(macs=48)))


@pytest.mark.no_backend
def test_a_resumed_fit_repeats_the_share_that_was_found(tmp_path):
    """The share refers to the original, not to the model that was cut."""

    class Crash(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 4:
                raise KeyboardInterrupt

    def train(*others):
        keras.utils.set_random_seed(3)
        model = build()
        callbacks = netopt.recipe(Target(macs=0.5))
        fit(model, [*callbacks, *others])
        return model

    whole = train()
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    with pytest.raises(KeyboardInterrupt):
        train(backup, Crash())
    resumed = train(backup)
    for one, other in zip(
        whole.get_weights(), resumed.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.no_backend
def test_the_callbacks_are_configured_from_json():
    for callback in netopt.recipe(Target(gzip_kilobytes=9, macs=0.5)):
        stored = json.loads(
            json.dumps(keras.saving.serialize_keras_object(callback))
        )
        again = keras.saving.deserialize_keras_object(stored)
        assert again.get_config() == callback.get_config()
        assert repr(again) == repr(callback)


@pytest.mark.no_backend
def test_channel_pruning_takes_a_function_that_finds_the_share():
    model = build()
    seen = []

    def half(found):
        seen.append(found)
        return 0.5

    pruning = ChannelPruning(half)
    fit(model, [pruning])

    assert seen == [model]
    assert model.get_layer("two").units == 32
    with pytest.raises(ValueError, match="`sparsity`"):
        fit(build(), [ChannelPruning(lambda found: 1.5)])
    with pytest.raises(ValueError, match="`meter` must be a callable"):
        ChannelPruning(0.5, resource="meter")


@pytest.mark.no_backend
def test_ratios_refer_to_the_first_model():
    meter = TargetMeter(Target(macs=0.5), quantize="int8")
    share = TargetShare(meter, 4)
    first, small = build(64), build(16)
    ratio = macs(small) / macs(first)

    assert share(first) == pytest.approx(0.5)
    assert meter(small) == pytest.approx(2 * ratio)
    assert share(small) == 0.0
