"""`ChannelPruning` removes channels, and training continues."""

import copy
import pickle
import types
from pathlib import Path

import keras
import numpy as np
import pytest
from callback_tools.channel_pruning import (
    IS_TENSORFLOW,
    TRACED,
    build,
    compiled,
    fit,
    state,
    units,
)
from toy import make_toy_data

from keras_netopt import cost, export, schedules
from keras_netopt.callbacks import Pruning
from keras_netopt.callbacks.channel_pruning import ChannelPruning
from keras_netopt.surgery import ModelSize
from keras_netopt.surgery.cutting.measure_milliseconds import (
    measure_milliseconds,
)
from keras_netopt.training import MaskStore

L = keras.layers


@keras.saving.register_keras_serializable("tests")
def last_first(variable):
    """A score that cuts the first units."""
    index = np.arange(variable.shape[-1])
    return np.broadcast_to(index, tuple(variable.shape))


@keras.saving.register_keras_serializable("tests")
def count_macs(model):
    return float(ModelSize.of(model).macs)


def residual():
    keras.utils.set_random_seed(7)
    inputs = keras.Input((6, 6, 1))
    x = L.Conv2D(8, 3, name="stem")(inputs)
    skip = L.Conv2D(16, 1, name="skip")(x)
    x = L.Conv2D(16, 3, padding="same", use_bias=False, name="in")(x)
    x = L.ReLU()(L.BatchNormalization(momentum=0.9)(x))
    x = L.DepthwiseConv2D(3, padding="same")(x)
    x = L.Add()([skip, L.Conv2D(16, 1, name="last")(x)])
    x = L.GlobalAveragePooling2D()(x)
    return compiled(keras.Model(inputs, L.Dense(3, name="out")(x)))


@pytest.fixture(scope="module")
def pruned():
    """A model that a compiled step trains in three sizes, and then on."""
    run = types.SimpleNamespace(data=make_toy_data())
    run.model = build(metrics=["accuracy"], **TRACED)
    run.layers, run.weights = list(run.model.layers), list(run.model.weights)
    run.before, run.callback = ModelSize.of(run.model), cut_half()
    with pytest.raises(ValueError, match="has no cut to report: pass the"):
        run.callback.report()
    arguments = {"epochs": 5, "batch_size": 16}
    run.history = fit(run.model, run.data, run.callback, **arguments)
    run.then = state(run.model)
    fit(run.model, run.data, epochs=1)
    return run


def cut_half():
    return ChannelPruning(0.5, round_to=8)


def test_the_model_gets_smaller_and_trains_on(pruned):
    model, history = pruned.model, pruned.history
    size = ModelSize.of(model)

    assert units(model) == [16, 24, 3]
    # In multiples of 8: 32, 32, 24, 16 and 48, 40, 40, 24.
    assert history["channels_kept"] == [1.0, 0.9, 0.8, 0.5, 0.5]
    assert history["params"][0] == pruned.before.params
    assert history["params"][-1] == size.params < pruned.before.params
    assert history["macs"][-1] == size.macs
    assert np.isfinite(history["loss"]).all()
    assert all(a is b for a, b in zip(pruned.layers, model.layers, strict=True))
    assert all(
        a is b for a, b in zip(pruned.weights, model.weights, strict=True)
    )
    assert pruned.callback.is_complete
    assert all(
        not np.array_equal(a, b)
        for a, b, v in zip(
            pruned.then, state(model), model.weights, strict=False
        )
        if v.trainable
    )


def test_the_report_adds_up_the_cuts(pruned):
    report = pruned.callback.report()

    assert len(pruned.callback.reports) > 1
    assert [(r.layer, r.before, r.after) for r in report.widths] == [
        ("one", 32, 16), ("two", 48, 24)
    ]  # fmt: skip
    assert report.before == pruned.before
    assert report.after == ModelSize.of(pruned.model)


def test_the_result_is_an_ordinary_model(pruned, tmp_path):
    model = pruned.model
    model.save(tmp_path / "small.keras")
    again = keras.saving.load_model(tmp_path / "small.keras")
    twin = keras.models.clone_model(model)
    twin.set_weights(model.get_weights())

    outputs = keras.ops.convert_to_numpy(model(pruned.data[0]))
    for other in (again, twin):
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(other(pruned.data[0])), outputs
        )
    assert len(again.optimizer.variables) == len(model.optimizer.variables)


def test_a_residual_stream_is_cut_as_one():
    model = residual()
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4, 6, 6, 1)).astype("float32")
    callback = ChannelPruning(0.5, round_to=4, iterative_steps=1)
    fit(model, (x, np.arange(4) % 3), callback, epochs=2)

    sizes = {n: model.get_layer(n).filters for n in ("skip", "in", "last")}
    assert sizes == {"skip": 8, "in": 8, "last": 8}
    assert model.get_layer("stem").filters == 8


@pytest.mark.parametrize("allocation", ["uniform", "global"])
def test_macs_are_within_two_percent_of_the_request(toy_data, allocation):
    model = build()
    macs = ModelSize.of(model).macs
    callback = ChannelPruning(
        0.6, resource="macs", allocation=allocation, iterative_steps=1
    )
    history = fit(model, toy_data, callback, epochs=2)

    assert 0.38 <= ModelSize.of(model).macs / macs <= 0.4
    assert history["macs"][-1] == ModelSize.of(model).macs


def test_rounded_widths_and_narrow_layers(toy_data):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8,)),
            L.Dense(30, activation="relu"),
            L.Dense(6, activation="relu", name="narrow"),
            L.Dense(3),
        ]
    )
    callback = ChannelPruning(0.3, round_to=8, iterative_steps=1)
    fit(compiled(model), toy_data, callback, epochs=2)

    assert units(model) == [24, 6, 3]
    assert dict(callback.report().skipped)["narrow"].startswith("has 6 units")


@pytest.mark.parametrize("round_to", [None, 8])
def test_the_report_names_the_share_asked_for_and_reached(toy_data, round_to):
    keras.utils.set_random_seed(0)
    widths = (20, 24, 32, 40, 64)
    layers = [
        L.Dense(width, activation="relu", name=f"w{width}") for width in widths
    ]
    model = keras.Sequential([keras.Input((8,)), *layers, L.Dense(3)])
    callback = ChannelPruning(0.3, iterative_steps=2, round_to=round_to)
    fit(compiled(model), toy_data, callback, epochs=4)

    kept = sum(units(model)[:-1]) / sum(widths)
    assert 0.68 < kept < 0.72
    report = callback.report()
    assert report.notes[0] == (
        f"sparsity of channels: asked 30.0%, reached {1 - kept:.1%}"
    )
    assert [(row.layer, row.before) for row in report.widths] == [
        (f"w{width}", width) for width in widths
    ]
    for row, width in zip(report.widths, units(model), strict=False):
        assert abs(row.asked - 0.7 * row.before) < 1
        assert row.after == width
    reached = 1 - model.layers[0].units / 20
    assert f"│     30.0% │ {reached:9.1%} │".replace(" ", "") in (
        str(report).splitlines()[4].replace(" ", "")
    )


def test_masks_of_pruning_stay_aligned(toy_data):
    class Check(keras.callbacks.Callback):
        leaks = 0
        shapes = set()

        def on_train_batch_end(self, batch, logs=None):
            store = MaskStore.of(self.model)
            weights = store.weights()
            for key, mask in store.masks().items():
                assert mask.shape == weights[key].shape
                self.leaks += int(np.count_nonzero(weights[key][~mask]))
                self.shapes.add(mask.shape)

    model, check = build(**TRACED), Check()
    pruning = Pruning(0.8, frequency=1)
    history = fit(
        model,
        toy_data,
        pruning,
        ChannelPruning(0.5, round_to=8, iterative_steps=2),
        check,
        batch_size=16,
    )

    kernels = [
        layer.kernel for layer in model.layers if hasattr(layer, "units")
    ]
    zeros = sum(int((np.array(k) == 0).sum()) for k in kernels)
    assert check.leaks == 0
    assert {(8, 32), (8, 16), (16, 24)} <= check.shapes
    assert zeros == round(0.8 * sum(int(np.prod(k.shape)) for k in kernels))
    assert history["sparsity"][-1] == pytest.approx(0.8, abs=1e-3)
    assert pruning.report().sparsity == pytest.approx(0.8, abs=1e-3)


def test_a_cut_after_the_last_mask_update_keeps_the_sparsity(toy_data):
    model = build()
    pruning = Pruning(schedules.Constant(0.5))
    cut = ChannelPruning(schedules.Constant(0.5, begin="2ep"))
    history = fit(model, toy_data, pruning, cut)

    kernels = [
        layer.kernel for layer in model.layers if hasattr(layer, "units")
    ]
    zeros = sum(int((np.array(k) == 0).sum()) for k in kernels)
    assert zeros == round(0.5 * sum(int(np.prod(k.shape)) for k in kernels))
    assert history["sparsity"][-1] == pytest.approx(0.5, abs=1e-3)


def test_latency_is_measured_once_and_few_times(toy_data):
    """At the first of two cuts, and on copies of the model."""
    seen = []

    def meter(model):
        seen.append(ModelSize.of(model).macs)
        return float(seen[-1])

    model = build()
    macs = ModelSize.of(model).macs
    callback = ChannelPruning(
        0.5,
        resource="latency",
        meter=meter,
        min_channels=1,
        iterative_steps=2,
    )
    history = fit(model, toy_data, callback, epochs=5)

    assert seen[0] == macs
    assert len(seen) <= 8
    assert 0.45 <= ModelSize.of(model).macs / macs <= 0.5
    assert len(set(history["channels_kept"])) == 3
    assert any("latency measured" in note for note in callback.report().notes)


@pytest.mark.slow
def test_the_default_meter_measures_a_model():
    assert 0 < measure_milliseconds(build()) < 1000


def test_the_default_meter_is_the_median_of_one_model(monkeypatch):
    """A file is written on TensorFlow."""
    model, measured = build(), []

    def measure_latency(models):
        (measured[:],) = (list(models.values()),)
        if IS_TENSORFLOW:
            assert Path(measured[0]).read_text() == model.name
        return {"model": types.SimpleNamespace(median=3.0)}

    def to_litert(model, path):
        Path(path).write_text(model.name)

    monkeypatch.setattr(export, "to_litert", to_litert)
    monkeypatch.setattr(cost, "measure_latency", measure_latency)
    assert measure_milliseconds(model) == 3.0
    assert IS_TENSORFLOW or measured == [model]


def test_scores_choose_other_units_than_magnitude(toy_data):
    schedule, left = schedules.Constant(0.5), []
    for score in ("magnitude", "taylor", "random"):
        model = build(optimizer=keras.optimizers.SGD(0.0))
        callback = ChannelPruning(
            schedule, score=score, calibration_data=toy_data
        )
        fit(model, toy_data, callback, epochs=1)
        assert units(model) == [16, 24, 3]
        left.append(np.array(model.get_layer("one").kernel))

    assert not np.array_equal(left[0], left[1])
    assert not np.array_equal(left[0], left[2])


def test_a_callable_score_is_obeyed(toy_data):
    model = build(optimizer=keras.optimizers.SGD(0.0))
    kernel = np.array(model.get_layer("two").kernel)
    callback = ChannelPruning(
        schedules.Constant(0.5), score=last_first, include="two"
    )
    fit(model, toy_data, callback, epochs=1)

    np.testing.assert_array_equal(model.get_layer("two").kernel, kernel[:, 24:])


def test_batch_statistics_are_measured_anew(toy_data):
    models = []
    for recalibrate in (False, True):
        model = build(optimizer=keras.optimizers.SGD(0.0))
        callback = ChannelPruning(
            schedules.Constant(0.5),
            calibration_data=toy_data if recalibrate else None,
            recalibrate=recalibrate,
        )
        end = keras.callbacks.LambdaCallback(
            on_train_batch_begin=lambda batch, logs, model=model: models.append(
                np.array(model.get_layer("norm").moving_mean)
            )
        )
        fit(model, toy_data, callback, end, epochs=1, batch_size=64)

    plain, measured = models
    assert not plain.any()
    assert measured.all()


def test_the_config_holds_every_argument(toy_data):
    callback = ChannelPruning(
        schedules.Linear(final=0.4),
        score=last_first,
        resource="latency",
        allocation="global",
        iterative_steps=3,
        round_to=None,
        min_channels=4,
        include=["one", L.Dense],
        exclude="two",
        calibration_data=toy_data,
        recalibrate=True,
        meter=count_macs,
        allow_inexact=True,
        seed=3,
        input_shape=(None, 8),
    )
    config = callback.get_config()
    again = ChannelPruning.from_config(config, calibration_data=toy_data)

    assert list(config) == [
        "sparsity", "score", "allocation", "resource", "iterative_steps",
        "round_to", "min_channels", "include", "exclude", "calibration_data",
        "meter", "recalibrate", "seed", "allow_inexact", "input_shape",
    ]  # fmt: skip
    assert again.get_config() == config
    assert again.meter is count_macs
    assert again.score is last_first
    for other in (
        copy.deepcopy(callback),
        pickle.loads(pickle.dumps(callback)),
    ):
        assert other.get_config() == config
