"""Check 9: exits share the model, train on one target and round-trip."""

import keras
import numpy as np
import pytest
from depth.exits.nets import (
    CLASSES,
    EAGER,
    compiled,
    make_data,
    nested_net,
    residual_net,
    sequential_net,
)

import keras_netopt as netopt
from keras_netopt.depth import add_exits, calibrate


def arrays(model):
    return [np.array(keras.ops.convert_to_numpy(v)) for v in model.variables]


def predict(model, x):
    return keras.tree.map_structure(
        lambda t: np.array(keras.ops.convert_to_numpy(t)),
        model(x, training=False),
    )


def test_the_original_model_is_not_modified(data):
    model = residual_net()
    config, before = model.get_config(), predict(model, data[0][:64])
    weights = arrays(model)
    exits = add_exits(model, layers=["first", "second"])

    assert exits.exit_names == ("exit1", "exit2", "final")
    assert model.get_config() == config
    assert np.array_equal(predict(model, data[0][:64]), before)
    assert np.array_equal(predict(exits, data[0][:64])["final"], before)
    assert all(map(np.array_equal, arrays(model), weights))
    shared = {id(v) for v in exits.variables}
    assert {id(v) for v in model.variables} <= shared


def test_one_target_loss_and_metric_list_apply_to_all_exits(data):
    x, y = data[0][:64], data[1][:64]
    exits = add_exits(residual_net(), layers=["first"])
    compiled(exits, run_eagerly=EAGER)
    weight = np.linspace(0.0, 1.0, 64, dtype="float32")
    history = exits.fit(
        x,
        y,
        sample_weight=weight,
        validation_data=(x, y, weight),
        batch_size=64,
        verbose=0,
    ).history

    assert {"exit1_loss", "final_loss", "final_accuracy"} <= set(history)
    assert {"val_exit1_accuracy", "val_final_loss"} <= set(history)
    total = 0.3 * history["val_exit1_loss"][0] + history["val_final_loss"][0]
    assert history["val_loss"][0] == pytest.approx(total, rel=1e-4)
    for name, logits in predict(exits, x).items():
        shifted = logits - logits.max(-1, keepdims=True)
        right = shifted[np.arange(64), y]
        losses = np.log(np.exp(shifted).sum(-1)) - right
        weighted = float(np.mean(weight * losses))
        found = history[f"val_{name}_loss"][0]
        assert found == pytest.approx(weighted, rel=1e-3)


def test_each_exit_has_its_own_metric_object(data):
    exits = add_exits(residual_net(), layers=["first"])
    exits.compile(
        "sgd",
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="hits")],
        run_eagerly=True,
    )
    found = exits.evaluate(
        data[0][:64], data[1][:64], verbose=0, return_dict=True
    )
    outputs = predict(exits, data[0][:64])
    for name in ("exit1", "final"):
        hits = np.mean(outputs[name].argmax(-1) == data[1][:64])
        assert found[f"{name}_hits"] == pytest.approx(hits, abs=1e-5)


def test_every_exit_learns_and_files_round_trip(trained, data, tmp_path):
    outputs = predict(trained, data[0][:64])
    hits = [np.mean(outputs[n].argmax(-1) == data[1][:64]) for n in outputs]
    assert min(hits) > 1.4 / CLASSES

    trained.save(tmp_path / "exits.keras")
    loaded = keras.saving.load_model(tmp_path / "exits.keras")
    assert type(loaded) is netopt.depth.ExitModel
    assert loaded.exit_names == trained.exit_names
    assert loaded.exit_loss_weights == trained.exit_loss_weights
    assert loaded.activation == "linear"
    assert loaded.training_record == trained.training_record
    again = predict(loaded, data[0][:64])
    assert all(np.array_equal(again[n], outputs[n]) for n in outputs)
    loaded.run_eagerly = EAGER
    loaded.fit(data[0][:32], data[1][:32], verbose=0)


def test_markers_define_name_and_head():
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(inputs)
    x = keras.layers.Dense(8)(x)
    head = keras.layers.Dense(CLASSES, name="own")
    x = netopt.layers.EarlyExit(head, name="easy")(x)
    x = netopt.layers.EarlyExit(name="middle")(keras.layers.Dense(8)(x))
    model = keras.Model(inputs, keras.layers.Dense(CLASSES)(x))
    exits = add_exits(model)

    assert exits.exit_names == ("easy", "middle", "final")
    assert exits.get_layer("own") is head
    assert head.built


@pytest.mark.parametrize(
    ("build", "at"),
    [
        (sequential_net, ["first"]),
        (nested_net, ["block/inner"]),
        (nested_net, ["block"]),
    ],
    ids=["sequential", "inside a nested model", "after a nested model"],
)
def test_other_kinds_of_models(build, at, data, tmp_path):
    model = build()
    before = predict(model, data[0][:64])
    exits = add_exits(model, layers=at)

    assert np.array_equal(predict(exits, data[0][:64])["final"], before)
    exits.save(tmp_path / "exits.keras")
    loaded = keras.saving.load_model(tmp_path / "exits.keras")
    assert np.array_equal(
        predict(loaded, data[0][:64])["exit1"],
        predict(exits, data[0][:64])["exit1"],
    )


@pytest.mark.parametrize("shape", [(6,), (5, 6), (4, 4, 2), (3, 4, 4, 2)])
def test_default_heads_by_rank(shape):
    inputs = keras.Input(shape)
    x = keras.layers.Activation("relu", name="marked")(inputs)
    x = keras.layers.Dense(4, activation="softmax")(keras.layers.Flatten()(x))
    exits = add_exits(keras.Model(inputs, x), layers=["marked"])
    out = predict(exits, np.ones((2, *shape), "float32"))["exit1"]

    assert out.shape == (2, 4)
    np.testing.assert_allclose(out.sum(-1), 1.0, atol=1e-5)


def test_given_heads_and_loss_weights():
    heads = [keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3)])]
    heads.append(
        keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3)])
    )
    # Heads are in the order of `layers`, exits in the order of execution.
    exits = add_exits(
        residual_net(),
        layers=["second", "first"],
        heads=heads,
        loss_weights="depth",
    )
    assert [layer for layer in exits.layers if layer in heads] == heads[::-1]
    assert exits.exit_loss_weights == pytest.approx(
        {"exit1": 1 / 3, "exit2": 2 / 3, "final": 1.0}
    )


def test_only_the_heads_are_trained_on_a_frozen_backbone(data, tmp_path):
    model = residual_net()
    model(data[0][:64], training=True)  # Moves the averages.
    before = arrays(model)
    flags = [layer.trainable for layer in model.layers]
    exits = add_exits(model, layers=["first"], freeze_backbone=True)
    compiled(exits, run_eagerly=EAGER)
    first = predict(exits, data[0][:64])["exit1"]
    exits.fit(data[0][:64], data[1][:64], verbose=0)

    assert all(map(np.array_equal, arrays(model), before))
    assert [layer.trainable for layer in model.layers] == flags
    assert not np.array_equal(predict(exits, data[0][:64])["exit1"], first)
    exits.save(tmp_path / "exits.keras")
    loaded = keras.saving.load_model(tmp_path / "exits.keras")
    assert len(loaded.trainable_variables) == 2


@pytest.mark.slow
def test_heads_on_a_keras_application():
    model = keras.applications.MobileNetV2(
        (32, 32, 3), alpha=0.35, weights=None, classes=3
    )
    x = np.random.default_rng(0).random((16, 32, 32, 3)).astype("float32")
    before, kept = predict(model, x), arrays(model)
    exits = add_exits(
        model,
        layers=["block_3_expand_relu", "block_9_add"],
        freeze_backbone=True,
    )
    exits.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    exits.fit(x, np.arange(16) % 3, verbose=0)

    assert exits.activation == "softmax"
    assert all(map(np.array_equal, arrays(model), kept))
    assert np.array_equal(predict(exits, x)["final"], before)
    found = calibrate(exits, np.tile(x, (8, 1, 1, 1)) + 0.1, np.arange(128) % 3,
                      max_macs=1e6)  # fmt: skip
    assert found.calibration.rule.is_probability
    assert found.full_cost > 0


def test_distillation_adds_the_divergence_from_the_final_exit(data):
    x, y = data[0][:64], data[1][:64]
    losses = []
    for temperature in (None, 2.0):
        keras.utils.set_random_seed(0)
        exits = add_exits(
            residual_net(),
            layers=["first"],
            distill_temperature=temperature,
        )
        exits = compiled(exits, run_eagerly=True, jit_compile=False)
        found = exits.evaluate(x, y, verbose=0, return_dict=True)
        losses.append(found["loss"])
    outputs = predict(exits, x)
    soft = {n: np.exp(v / 2.0) for n, v in outputs.items()}
    soft = {n: v / v.sum(-1, keepdims=True) for n, v in soft.items()}
    gap = np.log(soft["final"]) - np.log(soft["exit1"])
    wanted = 0.3 * 4.0 * np.mean((soft["final"] * gap).sum(-1))
    assert losses[1] - losses[0] == pytest.approx(wanted, rel=1e-3)


def test_unknown_and_useless_layers_are_refused():
    model = residual_net()
    with pytest.raises(ValueError, match="Near matches: first"):
        add_exits(model, layers=["frist"])
    with pytest.raises(ValueError, match="before the final output"):
        add_exits(model, layers=["out"])
    with pytest.raises(ValueError, match="without `keras_netopt.layers.Early"):
        add_exits(model)
    with pytest.raises(ValueError, match="must not repeat a name"):
        add_exits(model, layers=["first", "first"])
    with pytest.raises(ValueError, match=r"shape of the final output"):
        add_exits(model, layers=["first"], heads=[keras.layers.Dense(3)])
    shared = keras.layers.Dense(4, name="twice")
    inputs = keras.Input((4,))
    twice = keras.Model(inputs, keras.layers.Dense(2)(shared(shared(inputs))))
    with pytest.raises(ValueError, match="is called 2 times"):
        add_exits(twice, layers=["twice"])


def test_the_record_of_training_data():
    x, _ = make_data(5000)
    record = netopt.depth.exits.exit_model.TrainingRecord()
    record.add(x, validation_split=0.5)

    assert record.fraction_seen(x[:300]) == pytest.approx(1.0, abs=0.25)
    assert record.fraction_seen(x[2500:2800]) == 0.0
    again = type(record).from_config(record.get_config())
    assert again.fraction_seen(x[:300]) == record.fraction_seen(x[:300])
