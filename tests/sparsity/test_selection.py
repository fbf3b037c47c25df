import keras
import numpy as np
import pytest

from keras_netopt.sparsity import select

L = keras.layers


def chosen(selection):
    return [target.key for target in selection.targets]


def reasons(selection):
    return {row.key: row.reason for row in selection.skipped}


def nested(name):
    inputs = keras.Input((4,))
    return keras.Model(inputs, L.Dense(4, name="fc")(inputs), name=name)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__(name="sub")
        self.first = L.Dense(3, name="first")
        self.stack = [L.Dense(3, name=f"stack_{i}") for i in range(2)]

    def call(self, x):
        x = self.first(x)
        for layer in self.stack:
            x = layer(x)
        return x


class Mixer(L.Layer):
    """A custom layer: one known name, one unknown, one vector."""

    def build(self, input_shape):
        shape = (input_shape[-1], 3)
        self.kernel = self.add_weight(name="kernel", shape=shape)
        self.mix = self.add_weight(name="mix", shape=(3, 3))
        self.gate = self.add_weight(name="gate", shape=(3,))
        self.count = self.add_weight(name="count", shape=(), trainable=False)

    def call(self, x):
        return x @ self.kernel @ self.mix * self.gate


def functional(*layers, shape=(4,)):
    inputs = keras.Input(shape)
    x = inputs
    for layer in layers:
        x = layer(x)
    return keras.Model(inputs, x, name="net")


@pytest.fixture
def two_dense():
    return functional(L.Dense(5, name="hidden"), L.Dense(3, name="out"))


def test_nested_models_with_equal_layer_names_are_two_weights():
    model = functional(nested("a"), nested("b"))
    selection = select(model)
    assert chosen(selection) == ["a/fc/kernel", "b/fc/kernel"]
    assert reasons(selection) == {"a/fc/bias": "bias", "b/fc/bias": "bias"}
    first, second = selection.targets
    assert first.variable is model.layers[1].layers[1].kernel
    assert second.variable is model.layers[2].layers[1].kernel


def test_subclassed_model():
    model = Subclassed()
    model(np.ones((1, 4)))
    assert chosen(select(model)) == [
        "first/kernel",
        "stack_0/kernel",
        "stack_1/kernel",
    ]


def test_a_shared_layer_is_selected_once():
    shared = L.Dense(4, name="shared")
    model = functional(shared, shared)
    assert chosen(select(model)) == ["shared/kernel"]


def test_recurrent_layers_inside_wrappers():
    model = functional(
        L.TimeDistributed(L.Dense(6, name="inner"), name="td"),
        L.Bidirectional(L.LSTM(2, name="lstm"), name="bi"),
        shape=(5, 4),
    )
    selection = select(model)
    assert chosen(selection) == [
        "td/inner/kernel",
        "bi/forward_lstm/lstm_cell/kernel",
        "bi/forward_lstm/lstm_cell/recurrent_kernel",
        "bi/backward_lstm/lstm_cell/kernel",
        "bi/backward_lstm/lstm_cell/recurrent_kernel",
    ]
    assert reasons(selection) == {
        "td/inner/bias": "bias",
        "bi/forward_lstm/lstm_cell/bias": "bias",
        "bi/backward_lstm/lstm_cell/bias": "bias",
    }
    assert [t.view.shape for t in selection.targets[1:3]] == [(6, 8), (2, 8)]


def test_gru_bias_of_rank_two_is_skipped():
    model = functional(L.GRU(4, name="gru"), shape=(5, 4))
    selection = select(model)
    assert chosen(selection) == [
        "gru/gru_cell/kernel",
        "gru/gru_cell/recurrent_kernel",
    ]
    (bias,) = selection.skipped
    assert len(bias.variable.shape) == 2
    assert bias.reason == "bias"


def test_attention_projections():
    inputs = keras.Input((5, 8))
    outputs = L.MultiHeadAttention(2, 4, name="mha")(inputs, inputs)
    selection = select(keras.Model(inputs, outputs))
    parts = ("query", "key", "value", "attention_output")
    assert chosen(selection) == [f"mha/{part}/kernel" for part in parts]
    assert [(t.view.fan_in, t.view.fan_out) for t in selection.targets] == [
        (8, 8)
    ] * 4
    assert set(reasons(selection).values()) == {"bias"}


def test_depthwise_embedding_and_normalization():
    model = functional(
        L.Conv2D(4, 3, name="conv"),
        L.BatchNormalization(name="norm"),
        L.DepthwiseConv2D(3, name="depthwise"),
        L.SeparableConv2D(6, 3, name="separable"),
        L.LayerNormalization(name="layer_norm"),
        shape=(9, 9, 3),
    )
    selection = select(model)
    assert chosen(selection) == ["conv/kernel", "separable/pointwise_kernel"]
    assert reasons(selection) == {
        "conv/bias": "bias",
        "norm/gamma": "normalization weight",
        "norm/beta": "normalization weight",
        "norm/moving_mean": "normalization weight",
        "norm/moving_variance": "normalization weight",
        "depthwise/kernel": "depthwise kernel",
        "depthwise/bias": "bias",
        "separable/depthwise_kernel": "depthwise kernel",
        "separable/bias": "bias",
        "layer_norm/gamma": "normalization weight",
        "layer_norm/beta": "normalization weight",
    }


def test_embeddings_are_selected_on_request():
    model = functional(
        L.Embedding(7, 4, name="words"), L.Dense(2, name="out"), shape=(5,)
    )
    assert reasons(select(model))["words/embeddings"] == "embedding"
    assert chosen(select(model, "words")) == ["words/embeddings"]
    both = select(model, ["words", "out"])
    assert chosen(both) == ["words/embeddings", "out/kernel"]


def test_custom_layer():
    model = functional(Mixer(name="mixer"))
    selection = select(model)
    assert chosen(selection) == ["mixer/kernel"]
    assert reasons(selection) == {
        "mixer/mix": "not named kernel",
        "mixer/gate": "vector",
        "mixer/count": "not trainable",
    }
    assert chosen(select(model, Mixer)) == ["mixer/kernel", "mixer/mix"]


def test_frozen_layer_is_skipped(two_dense):
    two_dense.get_layer("hidden").trainable = False
    selection = select(two_dense)
    assert chosen(selection) == ["out/kernel"]
    assert reasons(selection) == {
        "hidden/kernel": "not trainable",
        "hidden/bias": "not trainable",
        "out/bias": "bias",
    }


def test_quantized_layer_is_skipped(two_dense):
    for layer in two_dense.layers[1:]:
        layer.quantize("int8")
    selection = select(two_dense)
    assert chosen(selection) == []
    assert set(reasons(selection).values()) == {"quantized layer"}


def test_lora_pair_is_skipped(two_dense):
    two_dense.get_layer("hidden").enable_lora(2)
    selection = select(two_dense)
    assert chosen(selection) == ["out/kernel"]
    assert reasons(selection)["hidden/kernel"] == "frozen under LoRA"
    assert reasons(selection)["hidden/lora_kernel_a"] == "LoRA pair"


def test_a_weight_owned_by_the_model_is_selected():
    class Owner(keras.Model):
        def build(self, input_shape):
            self.kernel = self.add_weight(name="kernel", shape=(4, 2))

        def call(self, x):
            return x @ self.kernel

    model = Owner(name="owner")
    model(np.ones((1, 4)))
    (target,) = select(model).targets
    assert target.layer is model


@pytest.mark.parametrize(
    "pattern",
    [
        "^hidden/",
        "hid",
        ["hidden"],
        ("hidden",),
        "first",
        lambda layer: layer.name == "hidden",
    ],
)
def test_kinds_of_selectors(two_dense, pattern):
    assert chosen(select(two_dense, include=pattern)) == ["hidden/kernel"]
    assert chosen(select(two_dense, exclude=pattern)) == ["out/kernel"]


def test_layers_and_classes_are_selectors():
    model = functional(nested("a"), L.Dense(4, name="out"))
    inner = model.get_layer("a")
    assert chosen(select(model, inner)) == ["a/fc/kernel"]
    assert chosen(select(model, exclude=inner)) == ["out/kernel"]
    assert chosen(select(model, L.Dense)) == ["a/fc/kernel", "out/kernel"]
    assert chosen(select(model, exclude=keras.Model)) == []


def test_a_class_selects_the_layers_inside_it():
    model = functional(
        L.LSTM(3, name="lstm"), L.Dense(2, name="out"), shape=(5, 4)
    )
    assert chosen(select(model, L.LSTM)) == [
        "lstm/lstm_cell/kernel",
        "lstm/lstm_cell/recurrent_kernel",
    ]
    assert chosen(select(model, exclude=L.RNN)) == ["out/kernel"]


def test_last_is_the_last_layer_that_is_pruned_by_default():
    model = functional(
        L.Dense(4, name="a"),
        L.Dense(4, name="b"),
        L.BatchNormalization(name="norm"),
        L.Embedding(3, 2, name="words"),
    )
    assert chosen(select(model, exclude=["first", "last"])) == []
    assert chosen(select(model, "last")) == ["b/kernel"]


def test_exclude_takes_precedence(two_dense):
    selection = select(two_dense, include=["hidden", "out"], exclude="out")
    assert chosen(selection) == ["hidden/kernel"]
    assert reasons(selection)["out/kernel"] == "excluded"


def test_reason_of_weights_that_are_not_included(two_dense):
    assert reasons(select(two_dense, "out")) == {
        "hidden/kernel": "not included",
        "hidden/bias": "bias",
        "out/bias": "bias",
    }


@pytest.mark.parametrize("pattern", ["bias$", "bias", "/b.*", "den/b|ut/b.*s"])
def test_a_bias_is_selected_by_its_own_name(two_dense, pattern):
    biases = ["hidden/bias", "out/bias"]
    found = chosen(select(two_dense, pattern))
    assert found == (biases[1:] if "|" in pattern else biases)


@pytest.mark.parametrize(
    "pattern", ["hidden", "^hidden/", "hidden/.*", L.Dense, lambda layer: True]
)
def test_the_selector_of_a_layer_does_not_select_its_bias(two_dense, pattern):
    assert "hidden/bias" not in chosen(select(two_dense, pattern))


def test_min_size(two_dense):
    selection = select(two_dense, min_size=16)
    assert chosen(selection) == ["hidden/kernel"]
    assert reasons(selection)["out/kernel"] == "smaller than min_size=16"


def test_include_of_weights_that_cannot_be_pruned_lists_reasons(two_dense):
    two_dense.get_layer("hidden").trainable = False
    with pytest.raises(ValueError) as error:
        select(two_dense, include="hidden")
    assert str(error.value) == (
        "Argument `include` must match at least one weight that can be "
        "pruned, but it matches: hidden/kernel (not trainable), hidden/bias "
        "(not trainable). Received: include='hidden'"
    )


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        (
            {"min_size": 1.5},
            TypeError,
            "Argument `min_size` must be an integer of at least 0. "
            "Received: min_size=1.5",
        ),
    ],
)
def test_bad_arguments(two_dense, arguments, error, message):
    with pytest.raises(error) as raised:
        select(two_dense, **arguments)
    assert str(raised.value) == message


def test_unbuilt_model_raises():
    model = keras.Sequential([L.Dense(3)], name="raw")
    with pytest.raises(ValueError) as error:
        select(model)
    assert str(error.value) == (
        "Argument `model` must be built: call it on a batch, or call "
        "`model.build(input_shape)`. "
        "Received: model=<Sequential name=raw, built=False>"
    )


def test_an_object_that_is_not_a_model_raises():
    with pytest.raises(TypeError) as error:
        select("model.keras")
    assert str(error.value) == (
        "Argument `model` must be a Keras model. "
        "Received: model='model.keras' of type str"
    )


class Raw(L.Layer):
    """A layer of another author with weights of its own."""

    def __init__(self, **shapes):
        super().__init__(name="raw")
        self.shapes = shapes

    def build(self, input_shape):
        for name, shape in self.shapes.items():
            self.add_weight(name=name, shape=shape)

    def call(self, x):
        return x


KERNELS = {
    "expert_kernel": (8, 4, 6),
    "expert_feedforward_gate_dense": (8, 4, 6),
    "gate_up_proj": (8, 4, 6),
    "experts_down": (8, 4, 6),
    "w1": (4, 6),
    "wi_0": (4, 6),
    "in_weights": (2, 4, 6),
    "projection_matrix": (4, 6),
    "conv_kernel": (3, 3, 4, 6),
}
OTHERS = {
    "position_embeddings": "embedding",
    "pos_embed": "table",
    "relative_position_bias_table": "table",
    "token_weights": "table",
    "positional_encoding_matrix": "table",
    "gate_up_proj_bias": "bias",
    "query": "not named kernel",
    "mix": "not named kernel",
}
VECTORS = {"w": (1, 1, 6), "layer_weight": (1, 6), "experts": (1, 1, 6)}


def test_raw_weights_are_kernels_by_a_word_of_their_name():
    tables = dict.fromkeys(OTHERS, (4, 6))
    layer = Raw(**KERNELS, **tables, experts_state=(8, 6))
    selection = select(functional(layer))
    assert chosen(selection) == [f"raw/{name}" for name in KERNELS]
    found = reasons(selection)
    assert {name: found[f"raw/{name}"] for name in OTHERS} == OTHERS
    assert found["raw/experts_state"] == "not named kernel"


def test_weights_along_one_axis_are_no_kernels():
    model = functional(Raw(**VECTORS))
    assert chosen(select(model)) == []


def test_a_weight_without_a_name_has_that_of_its_attribute():
    class Unnamed(L.Layer):
        def build(self, input_shape):
            self.pos = self.add_weight(shape=(4, 6))
            self.w = self.add_weight(shape=(4, 6))
            self._w2 = self.add_weight(shape=(4, 6))
            self.ws = [self.add_weight(shape=(4, 6)) for _ in range(2)]

        def call(self, x):
            return x @ self.w

    model = functional(Unnamed(name="raw"))
    names = ["variable_1", "variable_2", "variable_3", "variable_4"]
    assert chosen(select(model)) == [f"raw/{name}" for name in names]
    assert reasons(select(model)) == {"raw/variable": "table"}
