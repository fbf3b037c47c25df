"""More units in a layer: what is new in it, and that nothing else changes."""

import keras
import numpy as np
import pytest
from keras import layers
from surgery.growing.widen_nets import (
    MODELS,
    batch_norm_net,
    build,
    conv_net,
    dense_net,
    residual_net,
    sample_data,
    stir,
    stream_net,
)

from keras_netopt.surgery.channels.channel_graph import ChannelGraph
from keras_netopt.surgery.edits.output_difference import (
    check_preserved,
    snapshot,
)
from keras_netopt.surgery.growing.widen import plan_widen, widen

EXACT = ("net2net", "zero", "paired", "gradmax")


@pytest.mark.parametrize("new_units", EXACT)
@pytest.mark.parametrize("name", MODELS)
def test_widening_preserves_the_outputs(name, new_units):
    model = build(MODELS[name])
    layer = next(
        one
        for one in model._flatten_layers()
        if one.name == "target" and one is not model
    )
    held = {id(v) for v in layer.weights}
    before = snapshot(model)
    assert float(np.std(before.inference[0])) > 0.05
    data = sample_data(model)
    report = widen(
        model, "target", add=3, new_units=new_units, calibration_data=data
    )
    found = check_preserved(before, model)
    assert found.verdict == "exact"
    assert found.training <= 1e-3 * found.scale
    assert {id(v) for v in layer.weights} == held
    row = next(r for r in report.widths if r.layer.endswith("target"))
    assert row.after == row.before + 3 and not row.coupled
    assert report.after.params > report.before.params
    fallback = [note for note in report.notes if "is used instead of" in note]
    takes_gradmax = name in ("dense", "conv", "feed_forward", "nested")
    assert bool(fallback) == (new_units == "gradmax" and not takes_gradmax)


@pytest.mark.parametrize("name", MODELS)
def test_random_units_change_the_outputs(name):
    model = build(MODELS[name])
    before = snapshot(model)
    widen(model, "target", add=3, new_units="random")
    assert check_preserved(before, model).verdict == "changed"


@pytest.mark.parametrize("kind", ["", "key_size", "value_size", "output"])
@pytest.mark.parametrize("new_units", ["zero", "paired", "net2net"])
def test_every_kind_of_unit_of_attention_grows(kind, new_units, backend):
    x = inputs = keras.Input((5, 6))
    x = layers.MultiHeadAttention(2, 4, output_shape=5, name="target")(x, x)
    model = stir(keras.Model(inputs, layers.Dense(3)(x)))
    before = snapshot(model)
    report = widen(model, "target", add=2, kind=kind, new_units=new_units)
    assert check_preserved(before, model).verdict == "exact"
    assert not report.notes
    config = model.get_layer("target").get_config()
    name = {"": "num_heads", "key_size": "key_dim", "value_size": "value_dim"}
    if kind in name:
        assert config[name[kind]] == (4 if kind == "" else 6)
    tied = kind in ("key_size", "value_size") and backend == "jax"
    assert (config["key_dim"] == config["value_dim"]) == (
        tied or "size" not in kind
    )


@pytest.mark.parametrize("new_units", ["zero", "net2net"])
def test_layer_normalized_units_grow_by_copies(new_units):
    model = build(stream_net)
    before = snapshot(model)
    report = widen(model, "target", factor=2, new_units=new_units)
    found = check_preserved(before, model)
    assert found.verdict == "exact" and found.training < 1e-4
    assert {(r.before, r.after) for r in report.widths} == {(6, 12)}
    coupled = [r.layer for r in report.widths if r.coupled]
    assert len(coupled) == 2  # The attention and the last dense layer.
    notes = [n for n in report.notes if "net2net" in n]
    assert bool(notes) == (new_units == "zero")


def test_layer_normalized_units_grow_together():
    inputs = keras.Input((6,))
    one = layers.Dense(4, activation="tanh", name="target")(inputs)
    two = layers.Dense(3, activation="tanh", name="beside")(inputs)
    x = layers.Concatenate()([one, two])
    x = layers.LayerNormalization(name="norm")(x)
    model = stir(keras.Model(inputs, layers.Dense(3)(x)))
    before = snapshot(model)
    report = widen(model, "target", factor=2, new_units="net2net")
    assert check_preserved(before, model).verdict == "exact"
    rows = {r.layer: (r.before, r.after, r.coupled) for r in report.widths}
    assert rows == {
        "target": (4, 8, ""),
        "beside": (3, 6, "to 'target' by LayerNormalization 'norm'"),
    }


def test_zero_units_differ_and_have_the_size_of_old_ones():
    model = build(conv_net)
    old = model.get_layer("target").get_weights()[0]
    widen(model, "target", factor=2)
    kernel, bias = model.get_layer("target").get_weights()
    # New units stand behind old ones; the readers' weights tell them apart.
    read = model.layers[-1].get_weights()[0]
    fresh = np.abs(read).sum(axis=(0, 1, 3)) == 0
    assert fresh.sum() == 5
    np.testing.assert_array_equal(kernel[..., ~fresh], old)
    sizes = np.sqrt(np.mean(kernel[..., fresh] ** 2))
    assert sizes == pytest.approx(np.sqrt(np.mean(old**2)), rel=0.35)
    assert len(np.unique(kernel[0, 0, 0, fresh])) == 5
    np.testing.assert_array_equal(bias[fresh], 0.0)


def test_paired_units_have_opposite_outgoing_weights():
    model = build(conv_net)
    old_read = model.layers[-1].get_weights()[0]
    widen(model, "target", add=4, new_units="paired")
    kernel, _ = model.get_layer("target").get_weights()
    read = model.layers[-1].get_weights()[0]
    flat = kernel.reshape(-1, kernel.shape[-1])
    rows = np.moveaxis(read, 2, 0).reshape(read.shape[2], -1)
    twins = [
        (i, i + 1)
        for i in range(flat.shape[1] - 1)
        if (flat[:, i] == flat[:, i + 1]).all()
    ]
    assert len(twins) == 2
    old_rows = np.moveaxis(old_read, 2, 0).reshape(old_read.shape[2], -1)
    norm = 0.5 * np.linalg.norm(old_rows, axis=1).mean()
    for one, other in twins:
        np.testing.assert_array_equal(rows[one], -rows[other])
        assert np.linalg.norm(rows[one]) == pytest.approx(norm, rel=1e-5)


def test_an_odd_unit_among_pairs_has_zero_outgoing_weights():
    model = build(dense_net)
    widen(model, "target", add=3, new_units="paired")
    rows = np.abs(model.layers[-1].get_weights()[0]).sum(axis=1)
    assert (rows == 0).sum() == 1


def test_net2net_shares_are_uneven_and_add_up():
    model = build(dense_net)
    old = model.layers[-1].get_weights()[0]
    widen(model, "target", factor=3, new_units="net2net")
    new = model.layers[-1].get_weights()[0]
    copies = new.reshape(5, 3, 3)
    np.testing.assert_allclose(copies.sum(axis=1), old, rtol=1e-5)
    shares = (copies / old[:, None])[..., 0]
    assert (np.ptp(shares, axis=1) > 1e-3).all()
    assert (shares > 0.1).all() and (shares < 0.6).all()


def test_the_same_seed_grows_the_same_units():
    grown = []
    for seed in (0, 0, 1):
        model = build(residual_net)
        widen(model, "target", add=3, seed=seed)
        grown.append(np.concatenate([w.ravel() for w in model.get_weights()]))
    np.testing.assert_array_equal(grown[0], grown[1])
    assert (grown[0] != grown[2]).any()


def test_batch_statistics_of_new_channels_come_from_data():
    model = build(batch_norm_net)
    x, _ = sample_data(model, 64)
    norm = model.layers[2]
    old = [np.array(w) for w in norm.get_weights()]
    widen(model, "target", factor=2, calibration_data=x)
    seen = keras.ops.convert_to_numpy(model.get_layer("target")(x))
    mean, variance = norm.get_weights()[2:]
    # New channels stand behind old ones.
    kept = [int(np.flatnonzero(mean == m)[0]) for m in old[2]]
    fresh = np.setdiff1d(np.arange(10), kept)
    np.testing.assert_allclose(
        mean[fresh], seen.mean(axis=(0, 1, 2))[fresh], atol=1e-4
    )
    np.testing.assert_allclose(
        variance[fresh], seen.var(axis=(0, 1, 2))[fresh], rtol=1e-3
    )
    np.testing.assert_array_equal(variance[kept], old[3])


def test_a_normalization_called_on_each_step_gets_statistics_that_exist():
    """Its averages are updated several times in one batch of data."""
    inputs = layers.Input((3, 6, 2))
    x = layers.TimeDistributed(layers.Conv1D(4, 2, name="target"))(inputs)
    norm = layers.BatchNormalization()
    x = layers.TimeDistributed(norm)(x)
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))
    stir(model)
    x = sample_data(model, 16)[0]
    before = snapshot(model, x)
    widen(model, "target", factor=2, calibration_data=x)
    assert (norm.get_weights()[3] > 0).all()
    assert check_preserved(before, model).verdict == "exact"


def test_batch_statistics_of_new_channels_are_neutral_without_data():
    model = build(batch_norm_net)
    widen(model, "target", factor=2)
    gamma, beta, mean, variance = model.layers[2].get_weights()
    assert (mean == 0).sum() == (beta == 0).sum() == 5
    assert (variance == 1).sum() == (gamma == 1).sum() == 5


def test_a_residual_stage_reports_every_coupled_layer():
    report = widen(build(residual_net), "target", factor=2)
    rows = {(r.layer == "target", r.before, r.after) for r in report.widths}
    assert rows == {(True, 4, 8), (False, 4, 8)}
    assert len(report.widths) == 3
    assert str(report).count("coupled") == 2


def test_round_to_rounds_up():
    model = build(dense_net)
    widen(model, "target", factor=1.5, round_to=4)
    assert model.get_layer("target").units == 8


def test_a_plan_leaves_the_model_alone():
    model = build(dense_net)
    found = plan_widen(ChannelGraph(model), "target", to=8)
    kernel = model.get_layer("target").kernel
    assert found.width == 8 and found.has_zero_outgoing
    assert found.plan.shape(kernel) == (6, 8)
    assert tuple(kernel.shape) == (6, 5)


def test_a_widened_model_saves_loads_and_clones(tmp_path):
    model = build(batch_norm_net)
    x, _ = sample_data(model)
    widen(model, "target", add=3, new_units="paired")
    y = keras.ops.convert_to_numpy(model(x))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    for other in (loaded, clone):
        found = keras.ops.convert_to_numpy(other(x))
        np.testing.assert_allclose(found, y, atol=1e-6)
