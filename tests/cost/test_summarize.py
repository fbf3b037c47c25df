import json

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_netopt.cost import CostReport, summarize


class Block(layers.Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(units, name="inner")
        self.drop = layers.Dropout(0.5)

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1], 3), name="scale")
        self.dense.build(shape)

    def call(self, x, training=None):
        return self.drop(self.dense(x), training=training) + ops.sum(
            ops.matmul(x, self.scale)
        )


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__(name="subclassed")
        self.block = Block(5, name="block")
        self.head = layers.Dense(2, name="head")

    def call(self, x):
        return self.head(
            ops.einsum("bi,ij->bj", self.block(x), ops.ones((5, 4)))
        )


class WithSpare(Subclassed):
    def __init__(self):
        super().__init__()
        self.spare = layers.Dense(7, name="spare")
        self.spare.build((None, 3))


class Escaping(Subclassed):
    def call(self, x):
        hidden = self.block(x)
        self.add_loss(ops.sum(hidden))
        return self.head(hidden)


class Branching(Subclassed):
    """Cannot run on symbolic tensors, so its calls are recorded."""

    def call(self, x):
        hidden = self.block(x)
        if isinstance(hidden, keras.KerasTensor):
            raise TypeError("needs a tensor of the backend")
        return self.head(hidden)


def built(cls):
    model = cls()
    model(np.ones((2, 6), "float32"))
    return model


def rows(report):
    return {row.name: row for row in report.layers}


def test_params_zeros_and_bytes_of_a_pruned_kernel():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="fc")])
    kernel = np.ones((4, 3), "float32")
    kernel[:2] = 0
    model.layers[0].set_weights([kernel, np.ones(3)])
    report = summarize(model)
    assert (report.params, report.nonzero, report.zeros) == (15, 9, 6)
    assert (report.bytes, report.sparsity, report.flops) == (60, 0.4, 24)


def test_bytes_follow_the_stored_dtype():
    half = layers.Dense(3, dtype="float16")
    mixed = layers.Dense(3, dtype="mixed_bfloat16")
    for layer, size in ((half, 2), (mixed, 4)):
        model = keras.Sequential([keras.Input((4,)), layer])
        assert summarize(model).bytes == 15 * size


def test_shared_layer_counts_params_once_and_macs_per_call():
    shared = layers.Dense(4, name="shared")
    inputs = keras.Input((4,))
    report = summarize(keras.Model(inputs, shared(shared(shared(inputs)))))
    assert report.params == 20
    assert rows(report)["shared"].macs == 3 * 16
    assert rows(report)["shared"].calls == 3


def test_weight_held_by_two_layers_counts_once():
    class Borrowing(layers.Layer):
        def __init__(self, kernel, **kwargs):
            super().__init__(**kwargs)
            self.kernel = kernel

        def call(self, x):
            return ops.matmul(x, self.kernel)

    owner = layers.Dense(4, use_bias=False, name="owner")
    inputs = keras.Input((4,))
    hidden = owner(inputs)
    model = keras.Model(inputs, Borrowing(owner.kernel, name="user")(hidden))
    report = summarize(model)
    assert report.params == model.count_params() == 16
    assert (rows(report)["owner"].params, rows(report)["user"].params) == (
        16,
        0,
    )
    assert report.macs == 32


def test_nested_model_called_on_two_sizes_counts_each_size():
    inner = keras.Sequential(
        [keras.Input((None, None, 3)), layers.Conv2D(4, 3, name="conv")],
        name="inner",
    )
    a, b = keras.Input((8, 8, 3)), keras.Input((5, 5, 3))
    model = keras.Model([a, b], [inner(a), inner(b)])
    report = summarize(model)
    assert report.params == model.count_params() == 112
    assert rows(report)["inner/conv"].macs == (36 + 9) * 4 * 27
    assert rows(report)["inner/conv"].calls == 2


def test_subclassed_model_is_counted_by_its_ops():
    model = built(Subclassed)
    report = summarize(model)
    assert report.unknown == ()
    assert report.params == model.count_params()
    macs = {name: row.macs for name, row in rows(report).items()}
    assert macs["block/inner"] == 6 * 5
    assert macs["block"] == 6 * 3
    assert macs["subclassed"] == 5 * 4
    assert macs["head"] == 4 * 2


def test_call_that_leaves_keras_ops_is_listed_and_its_layers_counted():
    model = built(Branching)
    report = summarize(model)
    (unknown,) = report.unknown
    assert unknown.name == "subclassed"
    assert unknown.note.startswith("`call` leaves `keras.ops` (TypeError:")
    assert report.params == model.count_params()
    assert report.macs == 6 * 5 + 6 * 3 + 5 * 2


def test_call_that_adds_a_loss_is_counted():
    report = summarize(built(Escaping))
    assert (report.macs, report.unknown) == (6 * 5 + 6 * 3 + 5 * 2, ())


def test_weights_that_the_forward_pass_never_uses_are_listed():
    model = built(WithSpare)
    report = summarize(model)
    assert report.params == model.count_params()
    assert (rows(report)["spare"].calls, rows(report)["spare"].params) == (
        0,
        28,
    )


@pytest.mark.parametrize("cls", [Subclassed, Escaping, Branching])
def test_the_model_is_not_modified(cls):
    model = built(cls)
    inner = [model, *model.layers, model.block.dense, model.block.drop]
    before = [ops.convert_to_numpy(v).copy() for v in model.variables]
    calls = [layer.__call__.__func__ for layer in inner]
    histories = [
        (len(layer._inbound_nodes), len(layer._outbound_nodes))
        for layer in inner
    ]
    losses = len(model.losses)
    summarize(model)
    after = [ops.convert_to_numpy(v) for v in model.variables]
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)
    assert len(model.losses) == losses
    assert calls == [layer.__call__.__func__ for layer in inner]
    assert histories == [
        (len(layer._inbound_nodes), len(layer._outbound_nodes))
        for layer in inner
    ]


def test_names_of_later_layers_do_not_change():
    model = built(Subclassed)
    first = keras.layers.Dense(1).name
    summarize(model)
    second = keras.layers.Dense(1).name
    number = int(first.partition("_")[2] or 0)
    assert second == f"dense_{number + 1}"


def test_static_batch_is_reported_per_sample():
    inputs = keras.Input(batch_shape=(8, 4))
    report = summarize(keras.Model(inputs, layers.Dense(3)(inputs)))
    assert report.macs == 12


def test_free_axis_is_listed_unless_input_shape_is_given():
    conv = layers.Conv2D(4, 3, padding="same", name="conv")
    model = keras.Sequential([keras.Input((None, None, 3)), conv])
    report = summarize(model)
    assert report.unknown[0].note == "an axis has no size; pass `input_shape=`"
    settled = summarize(model, input_shape=(None, 8, 8, 3))
    assert (settled.macs, settled.unknown) == (64 * 4 * 27, ())


def test_free_time_axis_is_listed():
    model = keras.Sequential([keras.Input((None, 3)), layers.LSTM(4)])
    assert [row.kind for row in summarize(model).unknown] == ["LSTM"]
    assert summarize(model, input_shape=(None, 5, 3)).macs == 5 * 16 * 7


def test_dict_inputs():
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    outputs = layers.Dense(2)(a) + layers.Dense(2)(b)
    model = keras.Model({"a": a, "b": b}, outputs)
    assert summarize(model).macs == 8 + 6


def test_table_shows_totals_and_unknown_layers():
    report = summarize(built(Branching))
    lines = str(report).splitlines()
    assert lines[0] == 'Cost of "subclassed"'
    assert "│ total" in lines[-3] and ">= 58" in lines[-3]
    assert lines[-1].startswith("Not counted: subclassed (Branching): `call`")
    assert max(len(line) for line in lines[:-1]) <= 100


def test_report_converts_to_json():
    report = summarize(built(Subclassed))
    content = json.loads(json.dumps(report.to_dict()))
    assert content["macs"] == report.macs
    assert content["layers"][0]["output_shapes"] == [[1, 5]]
    assert CostReport("empty", ()).to_dict()["sparsity"] == 0.0


def test_unbuilt_model_raises():
    model = keras.Sequential([layers.Dense(2)], name="unbuilt")
    with pytest.raises(ValueError) as error:
        summarize(model)
    assert str(error.value) == (
        "Argument `model` must be built. Received: model=<Sequential "
        "name=unbuilt, built=False>. Call the model on a batch, or "
        "`model.build(input_shape)`, first. A model without a `call`, such as "
        "a GAN, has no inputs: use its parts instead."
    )


def test_another_object_raises():
    with pytest.raises(TypeError) as error:
        summarize("model.keras")
    assert str(error.value) == (
        "Argument `model` must be a `keras.Model`. "
        "Received: model='model.keras'"
    )


def test_wrong_number_of_input_shapes_raises():
    a, b = keras.Input((4,)), keras.Input((4,))
    model = keras.Model([a, b], a + b)
    with pytest.raises(ValueError) as error:
        summarize(model, input_shape=[(1, 4)])
    assert str(error.value) == (
        "Argument `input_shape` must hold 2 shapes, one for each input of "
        "the model. Received: input_shape=[(1, 4)]"
    )
