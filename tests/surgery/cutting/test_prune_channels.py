"""`prune_channels`: widths, skipped layers and errors."""

import keras
import numpy as np
import pytest

from keras_netopt.surgery import ChannelGraph, ModelSize
from keras_netopt.surgery.cutting.prune_channels import prune_channels
from keras_netopt.surgery.cutting.recalibrate_batch_norm import (
    recalibrate_batch_norm,
)
from keras_netopt.training import NoEffectWarning

L = keras.layers
SCORES = ("magnitude", "l2", "bn_scale", "taylor", "fpgm", "random")


def make(widths=(16, 24), first=8):
    """Residual stages after a first convolution, and a narrow dense layer."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    x = L.Conv2D(first, 3, padding="same", name="stem")(inputs)
    for k, width in enumerate(widths):
        skip = L.Conv2D(width, 1, name=f"skip{k}")(x)
        x = L.Conv2D(width, 3, padding="same", name=f"in{k}")(x)
        x = L.ReLU()(L.BatchNormalization(momentum=0.9, name=f"norm{k}")(x))
        x = L.Conv2D(width, 3, padding="same", name=f"out{k}")(x)
        x = L.ReLU()(L.Add(name=f"sum{k}")([skip, x]))
    x = L.GlobalAveragePooling2D()(x)
    x = L.Dense(6, activation="relu", name="narrow")(x)
    model = keras.Model(inputs, L.Dense(3, name="logits")(x))
    model.compile(
        "sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    return model


def data(samples=32):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(samples, 8, 8, 3)).astype("float32")
    return x, rng.integers(0, 3, samples)


def widths(model):
    return {
        layer.name: layer.filters
        for layer in model.layers
        if isinstance(layer, L.Conv2D)
    }


@pytest.mark.parametrize("sparsity", [0.25, 0.5, 0.8])
def test_uniform_cuts_each_set_within_one_unit(sparsity):
    before, model = widths(make()), make()
    prune_channels(model, sparsity, min_channels=1)

    for name, width in widths(model).items():
        wanted = before[name] * (1 if name == "stem" else 1 - sparsity)
        assert abs(width - wanted) <= 1


@pytest.mark.parametrize("allocation", ["uniform", "global", "isomorphic"])
@pytest.mark.parametrize("resource", ["macs", "params"])
def test_cost_targets_are_met_within_two_percent(allocation, resource):
    model = make()
    before = ModelSize.of(model)
    report = prune_channels(
        model, 0.4, resource=resource, allocation=allocation, min_channels=4
    )
    share = getattr(ModelSize.of(model), resource) / getattr(before, resource)

    assert 0.58 <= share <= 0.6
    assert report.after == ModelSize.of(model)


@pytest.mark.parametrize("allocation", ["global", "isomorphic"])
def test_other_allocations_cut_the_same_number_in_total(allocation):
    model = make((16, 24, 32))
    prune_channels(model, 0.5, allocation=allocation, min_channels=1)
    sizes = [widths(model)[f"{kind}{k}"] for kind in ("in", "out")
             for k in range(3)]  # fmt: skip

    assert abs(sum(sizes) + model.get_layer("narrow").units - 75) <= 2
    assert sizes != [8, 12, 16, 8, 12, 16]


@pytest.mark.parametrize("score", SCORES)
def test_every_score_keeps_the_model_working(score):
    model = make()
    x, y = data()
    prune_channels(model, 0.5, score=score, calibration_data=(x, y), round_to=4)

    assert widths(model)["out1"] == 12
    outputs = keras.ops.convert_to_numpy(model(x))
    assert outputs.shape == (32, 3)
    assert np.isfinite(outputs).all() and outputs.std() > 1e-3


def test_the_channels_with_the_lowest_scores_are_removed():
    model = make()
    kernel, bias = model.get_layer("in1").get_weights()
    worth = np.abs(kernel).sum((0, 1, 2)) + np.abs(bias)
    prune_channels(model, 0.25, include="in1")

    kept = np.sort(np.argsort(worth)[6:])
    np.testing.assert_array_equal(
        model.get_layer("in1").get_weights()[0], kernel[..., kept]
    )


@pytest.mark.parametrize("resource", ["channels", "macs"])
def test_rounded_widths_are_multiples_and_narrow_layers_are_listed(resource):
    model, before = make(), widths(make())
    report = prune_channels(
        model, 0.5, round_to=8, min_channels=1, resource=resource
    )

    changed = {k: w for k, w in widths(model).items() if w != before[k]}
    assert changed
    assert all(w % 8 == 0 and w >= 8 for w in changed.values())
    assert model.get_layer("narrow").units == 6
    assert dict(report.skipped)["narrow"] == (
        "has 6 units, of which `min_channels` and `round_to` keep 8"
    )


def test_skipped_layers_are_listed_with_the_reason():
    report = prune_channels(make(), 0.5, exclude="in1")
    skipped = dict(report.skipped)

    assert skipped["in1"] == "excluded"
    assert "output 'logits' of the model" in skipped["logits"]
    assert skipped["stem"] == (
        "first convolution (name it in `include` to prune it)"
    )


def test_channels_that_a_normalization_mixes_are_skipped():
    def build():
        inputs = keras.Input((5, 16))
        x = L.Dense(16, name="mixed")(inputs)
        x = L.LayerNormalization(name="norm")(x)
        x = L.Dense(32, name="free")(x)
        return keras.Model(inputs, L.Dense(2, name="out")(x))

    report = prune_channels(build(), 0.5)
    assert [row.layer for row in report.widths] == ["free"]
    assert dict(report.skipped)["mixed"] == (
        "LayerNormalization 'norm' mixes its channels (see `allow_inexact`)"
    )
    report = prune_channels(build(), 0.5, allow_inexact=True)
    assert {row.layer for row in report.widths} == {"free", "mixed"}


def test_heads_count_as_their_width():
    def build(heads, size):
        inputs = keras.Input((5, 16))
        x = L.MultiHeadAttention(heads, size, name="heads")(inputs, inputs)
        return keras.Model(inputs, L.Dense(2, name="out")(x))

    assert _heads(build(8, 4), round_to=8, min_channels=8) == 4
    assert _heads(build(8, 8), round_to=8, min_channels=8) == 4
    assert _heads(build(2, 16), round_to=8, min_channels=8) == 1
    with pytest.raises(ValueError, match=r"heads \(has 2 units, of which"):
        _heads(build(2, 4), round_to=8, min_channels=8)


def _heads(model, **options):
    prune_channels(model, 0.5, include="heads", **options)
    return model.get_layer("heads").num_heads


def test_latency_is_bisected_with_few_measurements():
    model, seen = make(), []
    macs = ModelSize.of(model).macs

    def meter(copy):
        assert copy is not model
        seen.append(ModelSize.of(copy).macs)
        return 1.0 + seen[-1] / macs

    report = prune_channels(
        model, 0.3, resource="latency", meter=meter, min_channels=1
    )

    assert seen[0] == macs
    assert len(seen) <= 8
    assert 0.3 <= ModelSize.of(model).macs / macs <= 0.4
    assert any(f"measured {len(seen)} times" in note for note in report.notes)


def test_a_dry_run_changes_nothing_and_reports_the_same():
    model, twin = make(), make()
    before = model.get_weights()
    dry = prune_channels(model, 0.5, dry_run=True)
    wet = prune_channels(twin, 0.5)

    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert dry.dry_run and not wet.dry_run
    assert (dry.widths, dry.after, dry.skipped) == (
        wet.widths, wet.after, wet.skipped
    )  # fmt: skip
    assert dry.notes == wet.notes
    assert "(dry run)" in str(dry)


def test_removed_channels_without_readers_change_nothing():
    model = make()
    x, _ = data()
    graph = ChannelGraph(model)
    worth = _worth(model)
    gone = np.argsort(worth)[:8]
    reader = model.get_layer("out0")
    kernel, bias = reader.get_weights()
    full = keras.ops.convert_to_numpy(model(x))
    kernel[:, :, gone] = 0
    reader.set_weights([kernel, bias])
    zeroed = keras.ops.convert_to_numpy(model(x))
    prune_channels(model, 0.5, include="in0")

    assert graph.units("in0").size == 16
    assert widths(model)["in0"] == 8
    assert np.abs(full - zeroed).max() > 1e-3
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(model(x)), zeroed, atol=1e-5
    )


def _worth(model):
    kernel, bias = model.get_layer("in0").get_weights()
    return np.abs(kernel).sum((0, 1, 2)) + np.abs(bias)


def test_recalibration_computes_the_mean_over_the_batches():
    model = make()
    x, _ = data()
    norm = model.get_layer("norm0")
    feed = keras.Model(model.input, norm.input)
    batches = [x[:8], x[8:]]
    values = [keras.ops.convert_to_numpy(feed(batch)) for batch in batches]
    rest = {v.path: v.numpy() for v in model.weights if "moving" not in v.name}

    assert recalibrate_batch_norm(model, [(batch,) for batch in batches]) == 2
    mean = np.mean([v.mean((0, 1, 2)) for v in values], axis=0)
    spread = np.mean([v.var((0, 1, 2)) for v in values], axis=0)
    np.testing.assert_allclose(norm.moving_mean, mean, atol=1e-5)
    np.testing.assert_allclose(norm.moving_variance, spread, rtol=1e-4)
    assert norm.momentum == 0.9
    for variable in model.weights:
        if variable.path in rest:
            np.testing.assert_array_equal(variable, rest[variable.path])


def test_recalibrating_after_a_cut_moves_only_the_averages():
    x, y = data()
    plain, measured = make(), make()
    prune_channels(plain, 0.5)
    prune_channels(measured, 0.5, calibration_data=x, recalibrate=True)

    for one, other in zip(plain.weights, measured.weights, strict=True):
        is_same = np.array_equal(one.numpy(), other.numpy())
        assert is_same == (not one.name.startswith("moving"))


def test_a_model_without_prunable_layers_warns_once():
    model = keras.Sequential([keras.Input((4,)), L.Dense(3, name="out")])
    with pytest.warns(NoEffectWarning) as caught:
        report = prune_channels(model, 0.5)

    # Warnings of Keras are not counted.
    (ours,) = [w for w in caught if w.category is NoEffectWarning]
    assert "out (reaches the output 'out' of the model)" in str(ours.message)
    assert "`include`" in str(ours.message)
    assert report.before == report.after
    assert report.widths == ()


@pytest.fixture(scope="module")
def unchanged():
    """A model that no refused call may change, and no other test uses."""
    model = make()
    before = model.get_weights()
    yield model
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


BAD = {
    "sparsity": (1.0, "a float in [0, 1)"),
    "score": ("best", "must be one of 'magnitude'"),
    "allocation": ("fair", "'uniform', 'global', 'isomorphic'"),
    "resource": ("time", "'channels', 'macs', 'params', 'bytes', 'latency'"),
    "round_to": (0, "an integer of at least 1"),
    "min_channels": (0, "an integer of at least 1"),
    "include": ("nowhere", "must match at least one layer"),
    "exclude": ("nowhere", "must match at least one layer"),
    "seed": (-1, "an integer of at least 0"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments_raise(name, unchanged):
    value, text = BAD[name]
    arguments = {"sparsity": 0.5, name: value}
    with pytest.raises(ValueError) as error:
        prune_channels(unchanged, **arguments)

    message = str(error.value)
    assert message.startswith(f"Argument `{name}` must ")
    assert text in message
    assert message.endswith(f"Received: {name}={value!r}")


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({"sparsity": "half"}, TypeError),
        ({"round_to": 2.5}, TypeError),
        ({"include": 3}, TypeError),
        ({"include": []}, ValueError),
        ({"exclude": "("}, ValueError),
        ({"allow_inexact": 1}, TypeError),
        ({"recalibrate": "yes"}, TypeError),
        ({"recalibrate": True}, ValueError),
        ({"score": "taylor"}, ValueError),
        ({"resource": "latency"}, ValueError),
        ({"meter": 3}, TypeError),
        ({"include": "logits"}, ValueError),
    ],
)
def test_bad_types_and_missing_data_raise(arguments, kind, unchanged):
    name = next(iter(arguments))
    data = "calibration_data"
    missing = {"recalibrate": data, "score": data, "resource": "meter"}
    if kind is ValueError:
        name = missing.get(name, name)
    with pytest.raises(kind, match=f"^Argument `{name}` must "):
        prune_channels(unchanged, **{"sparsity": 0.5, **arguments})


def test_an_unbuilt_model_raises():
    with pytest.raises(ValueError, match="not built"):
        prune_channels(keras.Sequential([L.Dense(3)]), 0.5)
