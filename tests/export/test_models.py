"""Which models become a file that computes the same."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_netopt.cost.tflite_model import TfliteModel
from keras_netopt.export import ExportError, to_litert
from keras_netopt.export.exportable_model import prepare_model


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


def images():
    """Free image sizes; a branch for each kind of layer."""
    image = keras.Input((None, None, 4), name="image")
    x = layers.Conv2D(4, 3, use_bias=False, padding="same")(image)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    depthwise = layers.DepthwiseConv2D(3, padding="same")(image)
    depthwise = layers.BatchNormalization(momentum=0.9)(depthwise)
    x = layers.Add()([x, depthwise])
    grouped = layers.Conv2D(4, 3, groups=2, padding="same")(image)
    x = layers.GlobalAveragePooling2D()(layers.Add()([x, grouped]))
    return keras.Model(image, layers.Dense(3)(x))


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


def subclassed():
    model = Subclassed()
    model(np.zeros((2, 5), "float32"))
    return model


def sequences():
    """Attention with and without a mask, an unrolled LSTM, an embedding."""
    tokens = keras.Input((6,), dtype="int32", name="tokens")
    x = layers.Embedding(20, 8)(tokens)
    for causal in (True, False):
        layer = layers.MultiHeadAttention(2, 4)
        x = layer(x, x, use_causal_mask=causal)
    x = layers.Conv1D(4, 3, padding="same")(x)
    return keras.Model(tokens, layers.LSTM(3, unroll=True)(x))


@pytest.mark.parametrize("build", [images, augmented, subclassed, sequences])
def test_model_converts_with_a_free_batch(build, tmp_path, capsys):
    model = randomize(build())
    report = to_litert(model, tmp_path / "m.tflite")
    assert capsys.readouterr().out == ""
    assert report.max_abs_diff <= 1e-5
    assert not report.needs_flex
    assert report.notes == () and report.warnings == ()
    (tensor,) = report.inputs
    assert tensor.shape[0] is None
    if build is images:
        assert tensor.shape == (None, None, None, 4)
    x = np.ones((4, *(axis or 9 for axis in tensor.shape[1:])))
    (answer,) = TfliteModel(report.path).run(x).values()
    wanted = np.asarray(model(x, training=False))
    np.testing.assert_allclose(answer, wanted, atol=1e-5)


def recurrent(batch=None, steps=6):
    inputs = keras.Input(batch_shape=(batch, steps, 4))
    outputs = [
        layers.LSTM(3, name="lstm")(inputs),
        layers.Bidirectional(layers.GRU(2), name="both")(inputs),
    ]
    return keras.Model(inputs, layers.Dense(2)(layers.concatenate(outputs)))


def test_recurrent_model_is_exported_with_a_batch_of_one(tmp_path):
    model = randomize(recurrent())
    report = to_litert(model, tmp_path / "m.tflite")
    assert report.max_abs_diff <= 1e-5
    assert report.notes == (
        "recurrent layers: exported with a fixed batch of 1",
    )
    assert report.inputs[0].shape == (1, 6, 4)
    assert not report.needs_flex and "WHILE" in report.flags


def test_recurrent_model_keeps_its_fixed_batch():
    exportable = prepare_model(recurrent(batch=3))
    assert exportable.batch == 3
    assert exportable.notes == ()
    assert exportable.signature[0].shape == (3, 6, 4)


def test_free_time_axis_needs_a_signature(tmp_path):
    memory = layers.SimpleRNN(3, name="memory")
    model = keras.Sequential([keras.Input((None, 4)), memory])
    with pytest.raises(ValueError) as error:
        to_litert(model, tmp_path / "m.tflite")
    assert str(error.value) == (
        "Argument `input_signature` must be given: the recurrent layers "
        "['memory'] require a time axis of known length. Received: an input "
        "of shape (None, None, 4). Pass e.g. "
        "`input_signature=[keras.InputSpec(shape=(1, 20, 8))]`."
    )
    signature = [keras.InputSpec(shape=(3, 7, 4))]
    report = to_litert(
        model,
        tmp_path / "m.tflite",
        input_signature=signature,
        calibration_data=np.random.default_rng(0).random((4, 7, 4)),
    )
    assert report.inputs[0].shape == (3, 7, 4)
    assert report.notes == ()
    assert report.verification.samples == 2 * 3


def test_mixed_precision_goes_through_a_float32_clone(tmp_path):
    inner = keras.Sequential(
        [keras.Input((8,)), layers.Dense(8, dtype="mixed_float16")],
        name="inner",
    )
    inputs = keras.Input((8,))
    hidden = layers.Dense(8, activation="relu", dtype="mixed_bfloat16")
    outputs = layers.Dense(3)(hidden(inner(inputs)))
    model = randomize(keras.Model(inputs, outputs))
    report = to_litert(model, tmp_path / "m.tflite")
    assert report.max_abs_diff <= 1e-5
    assert report.notes == ("half precision: exported from a float32 clone",)
    answer = TfliteModel(report.path).run(np.ones((1, 8)))["output_0"]
    wanted = np.asarray(model(np.ones((1, 8)), training=False))
    np.testing.assert_allclose(answer, wanted, atol=2e-2)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_is_found(policy):
    model = keras.Sequential([keras.Input((8,)), layers.Dense(3, dtype=policy)])
    exportable = prepare_model(randomize(model))
    assert len(exportable.notes) == 1
    policies = {layer.dtype_policy.name for layer in exportable.model.layers}
    assert policies == {"float32"}
    for old, new in zip(model.weights, exportable.model.weights, strict=True):
        np.testing.assert_array_equal(old.numpy(), new.numpy())


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


def build_quantized(mode, bias=0.1, **config):
    model = keras.Sequential(
        [
            keras.Input((16,)),
            layers.Dense(140, "relu", name="hidden"),
            layers.Dense(8, name="fc"),
        ]
    )
    randomize(model)
    for layer in model.layers:
        layer.bias.assign(np.full(layer.bias.shape, bias))
    kinds = {
        "int8": keras.quantizers.Int8QuantizationConfig,
        "int4": keras.quantizers.Int4QuantizationConfig,
    }
    if config:
        model.quantize(mode, config=kinds[mode](**config))
    else:
        model.quantize(mode)
    return model


@pytest.mark.filterwarnings("ignore:Layer InputLayer does not have")
def test_verification_decides_on_models_quantized_by_keras(tmp_path):
    exact = {
        "weights": ("int8", {"activation_quantizer": None}),
        "channels": ("int4", {"block_size": -1}),
    }
    for name, (mode, config) in exact.items():
        model = build_quantized(mode, **config)
        report = to_litert(model, tmp_path / f"{name}.tflite")
        assert report.max_abs_diff < 1e-5
        assert report.size.raw < 0.8 * 4 * (16 + 8) * 140
    wrong = {
        "refused": ("int8", {}),
        # The file loses the ReLU of a layer without a bias.
        "outputs of the file": ("int4", {"block_size": 8, "bias": 0.0}),
    }
    for text, (mode, config) in wrong.items():
        bias = config.pop("bias", 0.1)
        model = build_quantized(mode, bias, **config)
        with pytest.raises(ExportError) as error:
            to_litert(model, tmp_path / "wrong.tflite")
        assert text in str(error.value)
        assert "Layers were quantized by Keras: hidden (int" in str(error.value)
    assert not (tmp_path / "wrong.tflite").exists()


def test_dict_inputs_and_outputs_keep_their_names(tmp_path):
    a, b = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    outputs = {"sum": layers.Dense(2)(a + b), "left_only": layers.Dense(3)(a)}
    model = randomize(keras.Model({"left": a, "right": b}, outputs))
    report = to_litert(model, tmp_path / "m.tflite")
    assert {t.name for t in report.inputs} == {"left", "right"}
    assert {t.name for t in report.outputs} == {"sum", "left_only"}


def test_odd_names_are_replaced_and_outputs_compared_by_name(tmp_path):
    from ai_edge_litert.interpreter import Interpreter

    a, b = keras.Input((4,), name="my input-1"), keras.Input((3,), name="2nd")
    both = layers.Dense(4)(a) - layers.Dense(4)(b)
    heads = [layers.Dense(2, name=f"head{k}")(both) for k in range(3)]
    model = randomize(keras.Model([a, b], heads))
    report = to_litert(model, tmp_path / "m.tflite")
    names = [tensor.name for tensor in report.inputs]
    assert sorted(names) == ["input_2nd", "my_input_1"]
    assert report.max_abs_diff <= 1e-5
    x = {"my_input_1": np.ones((1, 4)), "input_2nd": np.full((1, 3), 0.5)}
    by_name = TfliteModel(report.path).run(x)
    wanted = [np.asarray(y) for y in model(list(x.values()), training=False)]
    for k in range(3):
        np.testing.assert_allclose(by_name[f"output_{k}"], wanted[k], atol=1e-5)
    # A comparison by position would reject this correct file.
    lite = Interpreter(model_path=report.path)
    lite.allocate_tensors()
    order = [d["index"] for d in lite.get_output_details()]
    runner = lite.get_signature_runner().get_output_details()
    assert order != [runner[f"output_{k}"]["index"] for k in range(3)]


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
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(3),
            layers.BatchNormalization(momentum=0.9),
        ]
    )
    model.compile(keras.optimizers.SGD(momentum=0.9), "mse", metrics=["mae"])
    x, y = np.ones((4, 4), "float32"), np.ones((4, 3), "float32")
    model.fit(x, y, verbose=0)
    weights = [v.numpy() for v in model.variables]
    slots = [v.numpy() for v in model.optimizer.variables]
    policies = [layer.dtype_policy.name for layer in model.layers]
    parts = (model.optimizer, model.train_function, model.loss, model.metrics)
    to_litert(model, tmp_path / "m.tflite")
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
