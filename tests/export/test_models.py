"""Which models become a file that computes the same."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_netopt.cost.tflite_model import TfliteModel
from keras_netopt.export import ExportError, to_litert


def randomize(model, seed=0):
    """Random statistics too, so that BatchNormalization does something."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        low, high = (0.5, 1.5) if "var" in variable.name else (-0.3, 0.3)
        variable.assign(rng.uniform(low, high, variable.shape))
    return model


class Subclassed(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.hidden = layers.Dense(8, activation="relu")
        self.head = layers.Dense(3)

    def call(self, x, training=None):
        return self.head(self.hidden(x))


class Inverse(layers.Layer):
    def call(self, x):
        import tensorflow as tf

        return tf.linalg.inv(x)


def cnn():
    return keras.Sequential(
        [
            keras.Input((12, 12, 3), name="image"),
            layers.Conv2D(8, 3, use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(4),
        ]
    )


def depthwise():
    inputs = keras.Input((12, 12, 4))
    x = layers.DepthwiseConv2D(3, padding="same")(inputs)
    x = layers.BatchNormalization(momentum=0.9)(x)
    x = layers.Add()([x, inputs])
    return keras.Model(inputs, layers.Dense(4)(layers.Flatten()(x)))


def subclassed():
    model = Subclassed()
    model(np.zeros((2, 5), "float32"))
    return model


def attention(causal=True):
    inputs = keras.Input((6, 8))
    layer = layers.MultiHeadAttention(2, 4)
    x = layer(inputs, inputs, use_causal_mask=causal)
    return keras.Model(inputs, layers.Dense(2)(x))


def sequence(*stack, batch=None):
    first = keras.Input(batch_shape=(batch, 6, 4))
    return keras.Sequential([first, *stack, layers.Dense(2)])


def grouped():
    return keras.Sequential(
        [keras.Input((8, 8, 4)), layers.Conv2D(4, 3, groups=2)]
    )


def embedded():
    inputs = keras.Input((9,), dtype="int32")
    x = layers.Embedding(20, 4)(inputs)
    return keras.Model(inputs, layers.Conv1D(3, 3)(x))


def augmented():
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Rescaling(1 / 255),
            layers.RandomFlip(),
            layers.RandomRotation(0.1),
            layers.Dropout(0.5),
            layers.Conv2D(2, 3),
        ]
    )


@pytest.mark.parametrize(
    "build",
    [
        cnn,
        depthwise,
        subclassed,
        attention,
        lambda: attention(causal=False),
        lambda: sequence(layers.LSTM(5, unroll=True)),
        grouped,
        embedded,
        augmented,
    ],
)
def test_model_converts_with_a_free_batch(build, tmp_path):
    model = randomize(build())
    report = to_litert(model, tmp_path / "m.tflite")
    assert report.max_abs_diff <= 1e-5
    assert not report.needs_flex
    assert report.notes == () and report.warnings == ()
    assert all(tensor.shape[0] is None for tensor in report.inputs)
    x = np.ones((4, *report.inputs[0].shape[1:]))
    (answer,) = TfliteModel(report.path).run(x).values()
    wanted = np.asarray(model(x, training=False))
    np.testing.assert_allclose(answer, wanted, atol=1e-5)


@pytest.mark.parametrize(
    "layer",
    [
        lambda: layers.LSTM(5),
        lambda: layers.GRU(5),
        lambda: layers.Bidirectional(layers.LSTM(5)),
    ],
)
def test_recurrent_model_is_exported_with_a_batch_of_one(layer, tmp_path):
    model = randomize(sequence(layer()))
    report = to_litert(model, tmp_path / "m.tflite")
    assert report.max_abs_diff <= 1e-5
    assert report.notes == (
        "recurrent layers: exported with a fixed batch of 1",
    )
    assert report.inputs[0].shape == (1, 6, 4)
    assert not report.needs_flex and "WHILE" in report.flags


def test_recurrent_model_keeps_its_fixed_batch(tmp_path):
    model = randomize(sequence(layers.GRU(5), batch=3))
    report = to_litert(model, tmp_path / "m.tflite")
    assert report.inputs[0].shape == (3, 6, 4)
    assert report.notes == ()


def test_free_time_axis_needs_a_signature(tmp_path):
    model = keras.Sequential(
        [keras.Input((None, 4)), layers.LSTM(3, name="memory")]
    )
    with pytest.raises(ValueError) as error:
        to_litert(model, tmp_path / "m.tflite")
    assert str(error.value) == (
        "Argument `input_signature` must be given: the recurrent layers "
        "['memory'] require a time axis of known length. Received: an input "
        "of shape (None, None, 4). Pass e.g. "
        "`input_signature=[keras.InputSpec(shape=(1, 20, 8))]`."
    )
    signature = [keras.InputSpec(shape=(1, 7, 4))]
    report = to_litert(model, tmp_path / "m.tflite", input_signature=signature)
    assert report.inputs[0].shape == (1, 7, 4)


def test_free_image_size_is_kept(tmp_path):
    model = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            layers.Conv2D(2, 3),
            layers.GlobalAveragePooling2D(),
        ]
    )
    report = to_litert(model, tmp_path / "m.tflite")
    assert report.inputs[0].shape == (None, None, None, 3)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_goes_through_a_float32_clone(policy, tmp_path):
    inner = keras.Sequential(
        [keras.Input((8,)), layers.Dense(8, dtype=policy)], name="inner"
    )
    inputs = keras.Input((8,))
    x = layers.Dense(8, activation="relu", dtype=policy)(inner(inputs))
    model = randomize(keras.Model(inputs, layers.Dense(3)(x)))
    report = to_litert(model, tmp_path / "m.tflite")
    assert report.max_abs_diff <= 1e-5
    assert report.notes == ("half precision: exported from a float32 clone",)
    answer = TfliteModel(report.path).run(np.ones((1, 8)))["output_0"]
    wanted = np.asarray(model(np.ones((1, 8)), training=False))
    np.testing.assert_allclose(answer, wanted, atol=2e-2)


def test_half_precision_class_without_a_config_is_refused(tmp_path):
    class Odd(keras.Model):
        def __init__(self, size):
            super().__init__(dtype="mixed_float16")
            self.fc = layers.Dense(size, dtype="mixed_float16")

        def call(self, x):
            return self.fc(x)

    model = Odd(3)
    model(np.zeros((1, 4)))
    with pytest.raises(ExportError) as error:
        to_litert(model, tmp_path / "m.tflite")
    assert str(error.value).startswith(
        "A model in half precision is exported through a float32 clone, "
        "which could not be made: "
    )


@pytest.mark.filterwarnings("ignore:Layer InputLayer does not have")
@pytest.mark.parametrize("mode", ["int8", "int4", "float8"])
def test_model_quantised_by_keras_is_refused(mode, tmp_path):
    model = keras.Sequential(
        [keras.Input((16,)), layers.Dense(8, name="fc")], name="net"
    )
    model.quantize(mode)
    policy = model.layers[0].dtype_policy.name
    with pytest.raises(ValueError) as error:
        to_litert(model, tmp_path / "m.tflite")
    assert str(error.value) == (
        "Argument `model` must not be quantised by Keras. Received: fc "
        f"({policy}). Export the float model with `quantize=` instead, as in "
        "`quantize='dynamic'`."
    )
    assert list(tmp_path.iterdir()) == []


def test_inputs_with_odd_and_equal_names(tmp_path):
    a, b = keras.Input((4,), name="my input-1"), keras.Input((3,), name="2nd")
    model = randomize(
        keras.Model([a, b], layers.Dense(2)(a) - layers.Dense(2)(b))
    )
    report = to_litert(model, tmp_path / "m.tflite")
    names = [tensor.name for tensor in report.inputs]
    assert sorted(names) == ["input_2nd", "my_input_1"]
    assert report.max_abs_diff <= 1e-5


def test_dict_inputs_and_outputs_keep_their_names(tmp_path):
    a, b = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    outputs = {"sum": layers.Dense(2)(a + b), "left_only": layers.Dense(3)(a)}
    model = randomize(keras.Model({"left": a, "right": b}, outputs))
    report = to_litert(model, tmp_path / "m.tflite")
    assert {t.name for t in report.inputs} == {"left", "right"}
    assert {t.name for t in report.outputs} == {"sum", "left_only"}


def test_outputs_are_compared_by_name_not_by_position(tmp_path):
    inputs = keras.Input((4,))
    heads = [layers.Dense(2, name=f"head{k}")(inputs) for k in range(3)]
    model = randomize(keras.Model(inputs, heads))
    report = to_litert(model, tmp_path / "m.tflite")
    assert report.max_abs_diff <= 1e-5
    lite = TfliteModel(report.path)
    x = np.ones((1, 4), "float32")
    by_name = lite.run(x)
    details = lite._interpreter.get_output_details()
    by_position = [lite._interpreter.get_tensor(d["index"]) for d in details]
    wanted = [np.asarray(y) for y in model(x, training=False)]
    for k in range(3):
        np.testing.assert_allclose(by_name[f"output_{k}"], wanted[k], atol=1e-5)
    # A comparison by position would reject this correct file.
    gaps = [abs(a - b).max() for a, b in zip(by_position, wanted, strict=True)]
    assert max(gaps) > 1e-2


def test_op_without_a_kernel_is_named_with_its_layer(tmp_path):
    model = keras.Sequential([keras.Input((3, 3)), Inverse(name="odd_one")])
    with pytest.raises(ExportError) as error:
        to_litert(model, tmp_path / "m.tflite")
    assert str(error.value) == (
        "LiteRT has no kernel for: MatrixInverse (in layer odd_one). Replace "
        "the op, or pass `allow_select_tf_ops=True` if the device "
        "provides TensorFlow's Flex delegate."
    )
    assert list(tmp_path.iterdir()) == []


def test_select_tf_ops_are_written_and_flagged_on_request(tmp_path):
    model = keras.Sequential([keras.Input((3, 3)), Inverse(name="odd_one")])
    path = str(tmp_path / "m.tflite")
    with pytest.warns(UserWarning) as caught:
        report = to_litert(model, path, allow_select_tf_ops=True)
    assert [str(w.message) for w in caught] == [
        f"{path}: requires the Flex delegate for FlexMatrixInverse; not "
        "verified, because the LiteRT interpreter here has none."
    ]
    assert report.needs_flex and report.flags == ("Flex",)
    assert report.max_abs_diff is None
    assert "not verified" in str(report)


def test_export_does_not_modify_the_model(tmp_path):
    model = randomize(cnn())
    model.compile("adam", "mse", metrics=["mae"])
    x, y = np.ones((4, 12, 12, 3), "float32"), np.ones((4, 4), "float32")
    model.fit(x, y, verbose=0)
    weights = [v.numpy() for v in model.variables]
    slots = [v.numpy() for v in model.optimizer.variables]
    policies = [layer.dtype_policy.name for layer in model.layers]
    parts = (model.optimizer, model.train_function, model.loss, model.metrics)
    to_litert(model, tmp_path / "m.tflite", quantize="dynamic")
    for old, new in zip(weights, model.variables, strict=True):
        np.testing.assert_array_equal(old, new.numpy())
    for old, new in zip(slots, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(old, new.numpy())
    assert policies == [layer.dtype_policy.name for layer in model.layers]
    assert parts == (
        model.optimizer,
        model.train_function,
        model.loss,
        model.metrics,
    )
    assert model.trainable and all(v.trainable for v in model.trainable_weights)
    model.fit(x, y, verbose=0)


def test_export_prints_nothing(tmp_path, capsys):
    to_litert(subclassed(), tmp_path / "m.tflite")
    assert capsys.readouterr().out == ""
