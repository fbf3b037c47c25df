"""Dead units go, outputs stay."""

import keras
import numpy as np
import pytest
from keras import ops
from surgery.compacting import compact_models as models

from keras_netopt import sparsity
from keras_netopt.surgery.channels.channel_graph import ChannelGraph
from keras_netopt.training import NoEffectWarning
from keras_netopt.training.mask_store import MaskStore

L = keras.layers


def kill(model, rng):
    """Makes one unit of each layer group unread and one constant zero."""
    graph = ChannelGraph(model)
    wanted = {}
    for one in graph.layer_groups():
        free = [g for g in one.free if g not in graph.normalized_by]
        sizes = [isinstance(key, tuple) for key in one.layers]
        if len(free) < 4 or all(sizes):
            continue
        unread, silent = rng.choice(free, 2, replace=False)
        for axis in graph.coupled_axes:
            groups = graph.group_of[axis.ids]
            if axis.role == "in":
                models.write(axis.variable, groups == unread, axis.axis)
            elif "moving" not in axis.variable.path:
                models.write(axis.variable, groups == silent, axis.axis)
        for key in one.layers:
            wanted[key] = len(graph.units(key)) - sum(
                np.isin(graph.units(key), (unread, silent))
            )
    return {
        graph.path(key): width
        for key, width in wanted.items()
        if not isinstance(key, tuple)
    }


@pytest.mark.parametrize("build", models.BUILDERS, ids=lambda one: one.__name__)
def test_units_go_and_outputs_stay(build):
    """A rule that misses a reader of a unit would change the outputs."""
    model = models.make(build)
    x = models.inputs_of(model)
    full = models.outputs_of(model, x)
    wanted = kill(model, np.random.default_rng(1))
    before = models.outputs_of(model, x)
    assert np.abs(full - before).max() > 1e-3  # The data see the units.
    held = list(model.weights)
    report = sparsity.compact(model)
    after = models.outputs_of(model, x)
    scale = max(1, np.abs(before).max())
    assert np.abs(after - before).max() / scale < 1e-6
    found = {row.layer: row.after for row in report.widths}
    assert found == wanted
    assert report.after.params == model.count_params() < report.before.params
    assert list(map(id, held)) == list(map(id, model.weights))
    with pytest.warns(NoEffectWarning, match="no dead units"):
        again = sparsity.compact(model)
    assert again.widths == () and again.before == again.after


def constants(build, layers, seed=0):
    """Zeroes all kernels into some units, and keeps their biases."""
    model = models.make(build, seed)
    for name, units in layers.items():
        kernel = model.get_layer(name).kernel
        models.write(kernel, units, len(kernel.shape) - 1)
    return model, models.inputs_of(model)


def widths(report):
    return {row.layer: (row.before, row.after) for row in report.widths}


def assert_preserved(model, x, compacted):
    before = models.outputs_of(model, x)
    report = compacted(model)
    after = models.outputs_of(model, x)
    assert np.abs(after - before).max() < 1e-6 * max(1, np.abs(before).max())
    return report


def test_constants_move_into_the_bias():
    """Without the fold the outputs would lose what the bias gave."""
    model, x = constants(models.dense, {"one": [0, 3], "two": [2]})
    bias = ops.convert_to_numpy(model.get_layer("out").bias)
    report = assert_preserved(model, x, sparsity.compact)
    assert widths(report) == {"one": (8, 6), "two": (7, 6)}
    assert np.abs(bias - model.get_layer("out").bias).max() > 0.01


def test_constants_move_into_the_mean_of_a_normalization():
    """A convolution without a bias has no other place for them."""
    inputs = keras.Input((6, 6, 2))
    x = L.Conv2D(5, 3, activation="tanh", name="one")(inputs)
    x = L.Conv2D(4, 3, use_bias=False, name="two")(x)
    x = L.BatchNormalization(name="norm")(x)
    x = L.GlobalAveragePooling2D()(L.ReLU()(x))
    model = keras.Model(inputs, L.Dense(2, name="out")(x))
    model, x = constants(lambda: model, {"one": [1, 2]})
    report = assert_preserved(model, x, sparsity.compact)
    assert widths(report) == {"one": (5, 3)}


def test_a_normalization_without_scale_makes_constants():
    """Gamma of zero leaves beta; behind ReLU a negative one is nothing."""
    model = models.make(models.conv_norm)
    norm = model.get_layer("norm")
    models.write(norm.gamma, [0, 1, 2], 0)
    models.write(norm.beta, [0, 1], 0, -0.5)
    report = assert_preserved(model, models.inputs_of(model), sparsity.compact)
    assert widths(report) == {"one": (6, 4)}
    (note,) = [note for note in report.notes if note.startswith("one")]
    assert "1 constant unit stays: 'two' pads its input with zeros" in note


def test_removals_that_kill_others_are_followed():
    """Whole paths die from both ends; layers keep their last unit."""
    model = keras.Sequential(
        [keras.Input((4,))]
        + [L.Dense(6, activation="relu", name=f"d{k}") for k in range(4)]
        + [L.Dense(2, name="out")]
    )
    model = models.make(lambda: model)
    for k in range(3):
        # Units 0 to 2 of a layer read only, and feed only, those of the next.
        kernel = model.get_layer(f"d{k + 1}").kernel
        array = np.array(ops.convert_to_numpy(kernel))
        array[:3, 3:] = array[3:, :3] = 0
        kernel.assign(array)
    models.write(model.get_layer("out").kernel, [0, 1, 2], 0)
    report = assert_preserved(model, models.inputs_of(model), sparsity.compact)
    assert widths(report) == {f"d{k}": (6, 3) for k in range(4)}
    models.write(model.get_layer("d2").kernel, slice(None), 1)
    models.write(model.get_layer("d2").bias, slice(None), 0)
    report = assert_preserved(model, models.inputs_of(model), sparsity.compact)
    assert widths(report) == {f"d{k}": (3, 1) for k in range(4)} | {
        "d3": (3, 1)
    }
    assert any("one unit stays" in note for note in report.notes)


def test_recurrent_and_attention_constants():
    """A constant input goes into the gates' bias, a head into the output's."""
    inputs = keras.Input((5, 4))
    x = L.Dense(6, activation="tanh", name="make")(inputs)
    x = L.GRU(5, return_sequences=True, name="gru")(x)
    x = L.MultiHeadAttention(3, 2, name="attention")(x, x) + x
    model = keras.Model(inputs, L.Dense(2, name="out")(L.Flatten()(x)))
    model, x = constants(lambda: model, {"make": [0, 4]})
    heads = model.get_layer("attention")
    models.write(heads.value_dense.kernel, [1], 1)  # Its bias stays.
    report = assert_preserved(model, x, sparsity.compact)
    assert widths(report) == {"make": (6, 4), "attention": (3, 2)}


def test_calls_with_different_constants_keep_the_unit():
    """One bias cannot hold the constant of two calls."""
    inputs = keras.Input((4,))
    one = L.Dense(5, activation="relu", name="one")(inputs)
    two = L.Dense(5, activation="relu", name="two")(inputs)
    both = L.Dense(6, activation="relu", name="both")
    x = L.Concatenate()([both(one), both(two)])
    model = keras.Model(inputs, L.Dense(2, name="out")(x))
    model, x = constants(lambda: model, {"one": [1, 2], "two": [1, 2]})
    models.write(model.get_layer("one").bias, [1], 0, 0.25)
    models.write(model.get_layer("two").bias, [1], 0, 0.5)
    for name in ("one", "two"):
        models.write(model.get_layer(name).bias, [2], 0, 0.5)
    report = assert_preserved(model, x, sparsity.compact)
    assert widths(report) == {"one": (5, 4), "two": (5, 4)}
    assert any("different constants" in note for note in report.notes)


@keras.saving.register_keras_serializable("compact")
class Product(L.Layer):
    """Multiplies its units with one another, in code of its own."""

    def build(self, shape):
        self.inner = L.Dense(6, name="inner")
        self.inner.build(shape)

    def call(self, inputs):
        x = self.inner(inputs)
        return ops.concatenate([x, x * ops.sum(x, -1, keepdims=True)], -1)


def test_what_is_not_understood_stays():
    """A unit that looks unread may be read by code, or leave the model."""
    inputs = keras.Input((4,))
    x = L.Dense(5, activation="relu", name="before")(inputs)
    x = Product(name="product")(x)
    y = L.Dense(5, activation="relu", name="exit")(x)
    z = L.LayerNormalization(name="norm")(L.Dense(4, name="normed")(y))
    model = keras.Model(inputs, [L.Dense(2, name="out")(z), y])
    model = models.make(lambda: model)
    models.write(model.get_layer("exit").kernel, slice(0, 4), 0)
    models.write(model.get_layer("out").kernel, [0], 0)
    with pytest.warns(NoEffectWarning):
        report = sparsity.compact(model)
    skipped = dict(report.skipped)
    assert "reaches the output" in skipped["exit"]
    assert "'norm' mixes its channels" in skipped["normed"]


def test_a_nested_model_with_two_calls():
    """What is constant in one call only is no constant inside."""
    block = keras.Sequential(
        [keras.Input((6,)), L.Dense(7, activation="relu", name="inside")],
        name="block",
    )
    inputs = keras.Input((4,))
    one = L.Dense(6, activation="relu", name="one")(inputs)
    two = L.Dense(6, activation="relu", name="two")(inputs)
    x = L.Concatenate()([block(one), block(two)])
    model = keras.Model(inputs, L.Dense(2, name="out")(x))
    model, x = constants(lambda: model, {"one": [0, 1]})
    models.write(block.layers[0].kernel, [5], 0)
    models.write(block.layers[0].kernel, [2], 1)
    report = assert_preserved(model, x, sparsity.compact)
    assert widths(report) == {
        "one": (6, 5),
        "two": (6, 5),
        "block/inside": (7, 6),
    }


def test_include_exclude_and_dry_run():
    """A dry run changes no weight, a selector no other layer."""
    model, x = constants(models.dense, {"one": [0, 3], "two": [2]})
    held = [np.array(w) for w in model.get_weights()]
    dry = sparsity.compact(model, dry_run=True)
    assert all(map(np.array_equal, held, model.get_weights()))
    assert dry.dry_run and dry.widths and model.get_layer("one").units == 8
    report = assert_preserved(
        model, x, lambda one: sparsity.compact(one, include="two")
    )
    assert widths(report) == {"two": (7, 6)}
    assert dict(report.skipped)["one"] == "not included"
    with pytest.warns(NoEffectWarning):
        assert not sparsity.compact(model, exclude="one").widths
    report = assert_preserved(model, x, sparsity.compact)
    assert widths(dry) == {**widths(report), "two": (7, 6)}


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden = L.Dense(3)

    def call(self, inputs):
        return self.hidden(inputs)


def test_models_without_a_graph_are_refused():
    model = Subclassed()
    model(np.zeros((1, 4)))
    with pytest.raises(ValueError, match="is subclassed, so nothing tells"):
        sparsity.compact(model)
    with pytest.raises(ValueError, match="is not built"):
        sparsity.compact(keras.Sequential([L.Dense(3)]))
    with pytest.raises(ValueError, match="`include`"):
        sparsity.compact(models.make(models.dense), include="no_such_layer")


def test_masks_and_slots_follow(residual):
    """Slots of the units that stay keep their values, masks their zeros."""
    model = residual()
    hidden, inner = model.get_layer("hidden"), model.get_layer("inner")
    store = MaskStore.attach(model, {"h": hidden.kernel, "i": inner.kernel})
    masks = {k: np.ones_like(m) for k, m in store.masks().items()}
    masks["h"][:, [1, 2, 6]] = masks["i"][..., [0, 3]] = False
    masks["h"][3, 4] = False
    store.assign(masks)
    kept = ops.convert_to_numpy(hidden.kernel).any(axis=0)
    for variable in model.optimizer.variables:
        if variable.path.endswith("hidden_kernel_momentum"):
            values = np.tile(np.arange(7.0), (6, 1))
            variable.assign(values)
            slot = variable.path
    x = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype("float32")
    report = assert_preserved(model, x, sparsity.compact)
    assert widths(report) == {"hidden": (7, 4), "inner": (5, 3)}
    moved = next(v for v in model.optimizer.variables if v.path == slot)
    found = ops.convert_to_numpy(moved)
    assert found.shape == tuple(hidden.kernel.shape)
    assert np.array_equal(found[0], np.arange(7.0)[kept])
    model.fit(x, np.zeros(4, "int64"), epochs=1, verbose=0)
    store = MaskStore.of(model)
    shapes = {key: mask.shape for key, mask in store.masks().items()}
    assert shapes == {k: w.shape for k, w in store.weights().items()}
    assert store.leaks(store.keys) == 0
    assert [int((~m).sum()) for m in store.masks().values()] == [1, 0]


def test_a_normalization_of_another_axis_holds_no_constant():
    """Its mean has an entry for each position, not for each channel."""
    for units in (4, 5):
        inputs = keras.Input((4, 8))
        x = L.Dense(6, activation="tanh", name="one")(inputs)
        x = L.Dense(units, use_bias=False, name="two")(x)
        x = L.Flatten()(L.BatchNormalization(axis=1)(x))
        made = keras.Model(inputs, L.Dense(2, name="out")(x))
        model, x = constants(lambda made=made: made, {"one": [0, 1, 2]})
        with pytest.warns(NoEffectWarning):
            report = assert_preserved(model, x, sparsity.compact)
        assert any("has no bias" in note for note in report.notes)


def test_a_masked_bias_holds_no_constant():
    """The mask would set the sum to zero again."""
    model, x = constants(models.dense, {"one": [0, 3], "two": [2]})
    model.compile("sgd", "mse")
    bias = model.get_layer("out").bias
    store = MaskStore.attach(model, {"b": bias})
    store.assign({"b": np.array([True, False, True])})
    report = assert_preserved(model, x, sparsity.compact)
    assert widths(report) == {"one": (8, 6)}
    assert any("'out' that could hold it is masked" in n for n in report.notes)
    models.write(model.get_layer("out").kernel, [1], 1)
    report = assert_preserved(model, x, sparsity.compact)
    assert widths(report) == {"two": (7, 6)}


@pytest.mark.parametrize("given", [{"dilation_rate": 16}, {"strides": 32}])
def test_a_border_of_an_input_without_a_size(given):
    """A window may read zeros at lengths that were not tried."""
    inputs = keras.Input((None, 3))
    x = L.Dense(5, activation="tanh", name="one")(inputs)
    x = L.DepthwiseConv1D(3, padding="same", **given)(x)
    x = L.GlobalAveragePooling1D()(x)
    model = keras.Model(inputs, L.Dense(2, name="out")(x))
    kernel = model.get_layer("one").kernel
    model = models.make(lambda: model)
    models.write(kernel, [1, 2], 1)
    models.write(model.get_layer("one").bias, [2], 0)
    x = np.random.default_rng(0).normal(size=(2, 40, 3)).astype("float32")
    report = assert_preserved(model, x, sparsity.compact)
    assert widths(report) == {"one": (5, 4)}  # A constant of zero may go.


@pytest.mark.parametrize("kind", ["norm", "drop", "nested"])
def test_calls_in_training_are_left_alone(kind):
    """Statistics of a batch, or dropout, make other outputs."""
    layer = L.Dropout(0.5, name="drop")
    if kind != "drop":
        layer = L.BatchNormalization(name="norm")
    if kind == "nested":
        layer = keras.Sequential([keras.Input((5,)), layer], name="block")
    inputs = keras.Input((4,))
    hidden = L.Dense(5, activation="tanh", name="one")(inputs)
    x = layer(hidden, training=True)
    model = keras.Model(inputs, L.Dense(2, name="out")(x))
    model, _ = constants(lambda: model, {"one": [1, 2]})
    with pytest.warns(NoEffectWarning):
        report = sparsity.compact(model)
    assert model.get_layer("one").units == 5
    assert any("is called with training=True" in n for n in report.notes)


def test_a_normalization_in_training_holds_no_constant():
    """It does not use its moving mean."""
    inputs = keras.Input((4,))
    x = L.Dense(5, activation="tanh", name="one")(inputs)
    x = L.Dense(3, use_bias=False, name="two")(x)
    x = L.BatchNormalization(name="norm")(x, training=True)
    model = keras.Model(inputs, L.Dense(2, name="out")(x))
    model, _ = constants(lambda: model, {"one": [1, 2]})
    mean = np.array(ops.convert_to_numpy(model.get_layer("norm").moving_mean))
    with pytest.warns(NoEffectWarning):
        sparsity.compact(model)
    assert np.array_equal(mean, model.get_layer("norm").moving_mean)
