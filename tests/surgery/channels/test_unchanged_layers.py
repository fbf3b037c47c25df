"""Every layer with weights is changed by an edit or listed with a reason."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_netopt import callbacks, surgery
from keras_netopt.graph.layers import own_variables, walk_paths

L = layers
BY_VALUES = "cannot be traced"


class Opaque(L.Layer):
    """Its values decide what it does, so that it cannot be traced."""

    def __init__(self, width, **kwargs):
        super().__init__(**kwargs)
        self.first = L.Dense(width, name="first")
        self.norm = L.BatchNormalization(name="norm")

    def build(self, shape):
        self.first.build(shape)
        self.norm.build((*shape[:-1], self.first.units))

    def compute_output_shape(self, shape):
        return (*shape[:-1], self.first.units)

    def call(self, x):
        if float(ops.max(x)) > 3:
            x = 2 * x
        return self.norm(self.first(x))


class OpaqueModel(keras.Model):
    def __init__(self, width, **kwargs):
        super().__init__(**kwargs)
        self.inner = L.Dense(width, name="inner")

    def build(self, shape):
        self.inner.build(shape)
        self.built = True

    def compute_output_shape(self, shape):
        return (*shape[:-1], self.inner.units)

    def call(self, x):
        return self.inner(x) if float(ops.max(x)) > 3 else self.inner(2 * x)


class Sorted(L.Layer):
    """Traced, but an op inside cannot be followed."""

    def __init__(self, width, **kwargs):
        super().__init__(**kwargs)
        self.inside = L.Dense(width, name="inside")

    def build(self, shape):
        self.inside.build(shape)
        self.scale = self.add_weight(shape=(self.inside.units,), name="scale")

    def call(self, x):
        return ops.sort(self.inside(x) * self.scale, axis=-1)


class WithWeight(keras.Model):
    """A model that holds a weight and a layer beside its graph."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.own_scale = self.add_weight(shape=(3,), name="own_scale")
        self.beside = L.Dense(3, name="beside")
        self.beside.build((None, 4))


def opaque():
    x = inputs = L.Input((8,))
    x = L.Dense(12, name="before")(x)
    x = Opaque(8, name="block")(x)
    x = L.Dense(12, activation="relu", name="wide")(x)
    x = OpaqueModel(8, name="part")(L.Dense(6, name="middle")(x))
    x = Sorted(6, name="sorted")(x)
    return keras.Model(inputs, L.Dense(2, name="out")(x))


def sequences():
    x = inputs = L.Input((4,), dtype="int32")
    x = L.Embedding(9, 8, name="token")(x)
    y = L.MultiHeadAttention(2, 4, name="attention")(x, x)
    x = L.LayerNormalization(name="norm")(L.Add(name="add")([x, y]))
    x = L.Dense(12, activation="relu", name="wide")(x)
    x = L.TimeDistributed(Opaque(4, name="block"), name="each")(L.Dense(5)(x))
    x = L.Bidirectional(L.GRU(4, return_sequences=True), name="both")(x)
    cells = [L.LSTMCell(4, name="low"), L.LSTMCell(4, name="high")]
    x = L.RNN(cells, name="stack")(x)
    return keras.Model(inputs, L.Dense(2, name="out")(x))


def images():
    x = inputs = L.Input((6, 6, 3))
    x = L.Normalization(mean=0.0, variance=1.0, name="scaled")(x)
    x = L.Conv2D(8, 3, name="stem")(x)
    x = L.BatchNormalization(name="stem_norm")(x)
    inner = keras.Sequential([L.Input((4, 4, 8)), L.Conv2D(8, 1, name="conv"),
                              L.BatchNormalization(name="norm")],
                             name="nested")  # fmt: skip
    x = L.Flatten()(inner(x))
    x = L.Dense(12, activation="relu", name="wide")(x)
    lora = L.Dense(6, name="lora")
    x = lora(L.Dense(5)(x))
    lora.enable_lora(2)
    return WithWeight(inputs, L.Dense(2, name="out")(x), name="holder")


MODELS = (opaque, sequences, images)
EDITS = {
    "prune": lambda m: surgery.prune_channels(m, 0.5, min_channels=1),
    "round": lambda m: surgery.prune_channels(
        m, 0.1, min_channels=1, round_to=6
    ),
    "include": lambda m: surgery.prune_channels(
        m, 0.5, min_channels=1, include="wide"
    ),
    "remove": lambda m: surgery.remove(m, {"wide": [1, 2]}),
    "widen": lambda m: surgery.widen(m, "wide", add=2),
}


def weight_shapes(model):
    found = {}
    for path, layer in walk_paths(model):
        shapes = [tuple(v.shape) for v in own_variables(layer)]
        if shapes:
            found[path or model.name] = shapes
    return found


@pytest.mark.parametrize("edit", EDITS)
def test_every_layer_with_weights_is_changed_or_listed(edit):
    for build in MODELS:
        model = build()
        before = weight_shapes(model)
        report = EDITS[edit](model)
        after = weight_shapes(model)

        listed = [name.partition(":")[0] for name, _ in report.skipped]
        same = {path for path in before if before[path] == after[path]}
        assert same <= {*listed}
        assert all(reason for _, reason in report.skipped)
        changed = {row.layer for row in report.widths}
        assert not changed & {name for name, _ in report.skipped}
        assert changed >= {"wide"} or edit == "round"


def test_the_reasons_name_the_cause_and_the_remedy():
    skipped = {
        name: reason
        for build in MODELS
        for name, reason in EDITS["prune"](build()).skipped
    }
    register = "(see `surgery.register`)"

    for name in ("block/first", "block/norm"):
        assert skipped[name].startswith(
            "is inside Opaque 'block', which cannot"
        )
        assert skipped[name].endswith(register)
    assert "is inside OpaqueModel 'part'" in skipped["part/inner"]
    assert "touches Opaque 'block'" in skipped["before"]
    for name in ("sorted", "sorted/inside"):
        assert "which sorts channels" in skipped[name]
        assert skipped[name].endswith(register)
    (cell,) = [name for name in skipped if name.endswith("/low")]
    assert "is inside RNN 'stack'" in skipped[cell]
    assert skipped["attention:key_size"].startswith("the size of the heads")
    assert skipped["stem"].startswith("first convolution")
    assert skipped["stem_norm"] == "has the channels of 'stem'"
    assert skipped["lora"] == "has LoRA weights"
    nothing = "no call in the graph of the model gives its weights channels"
    assert skipped["beside"] == skipped["holder"] == nothing


@pytest.mark.parametrize(
    ("build", "include", "text"),
    [
        (opaque, "block", "matches: block (cannot be traced: "),
        (opaque, Opaque, "block (cannot be traced: "),
        (opaque, "sorted", "which sorts channels (see `surgery.register`)"),
        (sequences, "stack", "stack (has a cell of type StackedRNNCells)"),
        (sequences, "^norm", "norm (has the channels of 'token'; name that"),
        (sequences, "add", "add (has no weights)"),
        (images, "lora", "lora (has LoRA weights)"),
        (images, "beside", "beside (no call in the graph of the model"),
        (images, "out", "out (reaches the output 'out' of the model)"),
    ],
)
def test_included_layers_that_cannot_be_cut_are_told_why(build, include, text):
    model = build()
    before = weight_shapes(model)
    with pytest.raises(ValueError, match="^Argument `include` must ") as error:
        surgery.prune_channels(model, 0.5, min_channels=1, include=include)
    assert text in str(error.value)
    assert weight_shapes(model) == before


def test_a_list_may_name_a_layer_that_cannot_be_cut():
    model = opaque()
    report = surgery.prune_channels(
        model, 0.5, min_channels=1, include=["wide", "block"], exclude="part"
    )
    assert [row.layer for row in report.widths] == ["wide"]
    assert "which cannot be traced" in dict(report.skipped)["block/first"]


@pytest.mark.parametrize("edit", ["remove", "widen"])
def test_edits_of_layers_that_cannot_be_traced_are_told_why(edit):
    model = opaque()
    with pytest.raises(ValueError) as error:
        if edit == "remove":
            surgery.remove(model, {"block/first": [0]})
        else:
            surgery.widen(model, "block/first", add=2)
    text = str(error.value)
    assert text.startswith(
        "Dense 'first' cannot be changed: it is inside Opaque 'block', which "
    )
    assert "`surgery.register`" in text and "'block/first'" in text


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_the_callback_lists_what_no_cut_has_changed():
    keras.utils.set_random_seed(0)
    model = images()
    model.compile("sgd", "mse", run_eagerly=True)
    before = weight_shapes(model)
    cut = callbacks.ChannelPruning(0.5, min_channels=1, iterative_steps=2)
    x, y = np.zeros((2, 6, 6, 3), "float32"), np.zeros((2, 2))
    model.fit(x, y, epochs=4, verbose=0, callbacks=[cut])
    report, after = cut.report(), weight_shapes(model)

    same = {path for path in before if before[path] == after[path]}
    assert same <= {name for name, _ in report.skipped}
    assert str(report).startswith("channel pruning\n")


def test_equal_reasons_are_one_line():
    layers = [L.Dense(8, name=f"d{k}") for k in range(12)]
    model = keras.Sequential([L.Input((4,)), *layers])
    report = surgery.widen(model, "d5", add=1)
    lines = [x for x in str(report).splitlines() if x.startswith("Unchanged")]

    assert lines == [
        "Unchanged: d0, d1, d2, d3, d4, d7 and 3 more (`skipped` lists all): "
        "not coupled to a layer that the edit names",
        "Unchanged: d11: reaches the output 'd11' of the model",
    ]
    assert len(report.skipped) == 10


def test_a_layer_that_rounding_keeps_is_listed_with_what_was_asked():
    widths = {"a": 20, "b": 64}
    layers = [L.Dense(width, name=name) for name, width in widths.items()]
    model = keras.Sequential([L.Input((4,)), *layers, L.Dense(2)])
    report = surgery.prune_channels(model, 0.1, round_to=16)

    assert [(row.layer, row.after) for row in report.widths] == [("a", 16)]
    assert dict(report.skipped)["b"].startswith(
        "keeps 64 channels, 58 were asked"
    )


def test_coupled_layers_are_named_with_the_layer_and_the_operation():
    x = inputs = L.Input((6,))
    x = L.Dense(8, name="a")(x)
    y = L.Add(name="add_1")([x, L.Dense(8, name="b")(x)])
    z = L.Dense(8, name="c")(y)
    y = ops.add(y, z)
    y = L.Concatenate()([y, L.Dense(4, name="d")(inputs)])
    y = L.Multiply(name="times")([y, L.Dense(12, name="e")(inputs)])
    model = keras.Model(inputs, L.Dense(2, name="out")(y))
    report = surgery.remove(model, {"b": [0]})
    rows = {row.layer: row.coupled for row in report.widths}

    adds = [one.name for one in model.operations if type(one).__name__ == "Add"]
    (name,) = {*adds} - {"add_1"}
    assert rows == {
        "a": "to 'b' by Add 'add_1'",
        "b": "",
        "c": f"to 'a' by Add '{name}'",
        "e": "to 'a' by Multiply 'times'",
    }
