import keras
import pytest
from keras import layers, ops

from keras_netopt.cost import summarize


def of_layer(layer, shape, dtype="float32"):
    inputs = keras.Input(shape, dtype=dtype)
    return summarize(keras.Model(inputs, layer(inputs)))


# name, layer, input shape without batch, MACs by hand
BY_HAND = [
    ("dense", lambda: layers.Dense(5), (7,), 7 * 5),
    ("dense on 3-D", lambda: layers.Dense(5), (6, 7), 6 * 7 * 5),
    (
        "einsum dense",
        lambda: layers.EinsumDense("abc,cde->abde", (4, 2, 3)),
        (4, 8),
        4 * 8 * 2 * 3,
    ),
    (
        "einsum dense with ellipsis",
        lambda: layers.EinsumDense("...x,xy->...y", 5),
        (3, 4, 7),
        3 * 4 * 7 * 5,
    ),
    (
        "conv1d causal",
        lambda: layers.Conv1D(4, 3, padding="causal"),
        (9, 2),
        9 * 4 * 3 * 2,
    ),
    ("conv2d", lambda: layers.Conv2D(4, (3, 5)), (8, 9, 2), 6 * 5 * 4 * 15 * 2),
    (
        "conv2d groups",
        lambda: layers.Conv2D(6, 3, groups=2, padding="same"),
        (8, 8, 4),
        64 * 6 * 9 * 2,
    ),
    (
        "conv2d strides",
        lambda: layers.Conv2D(4, 3, strides=2, padding="same"),
        (7, 9, 2),
        4 * 5 * 4 * 9 * 2,
    ),
    (
        "conv2d dilation",
        lambda: layers.Conv2D(4, 3, dilation_rate=2),
        (8, 8, 2),
        4 * 4 * 4 * 9 * 2,
    ),
    (
        "conv3d",
        lambda: layers.Conv3D(2, 2),
        (3, 4, 5, 3),
        2 * 3 * 4 * 2 * 8 * 3,
    ),
    (
        "conv2d transpose",
        lambda: layers.Conv2DTranspose(4, 3, strides=2, padding="same"),
        (5, 6, 2),
        5 * 6 * 2 * 9 * 4,
    ),
    (
        "conv1d transpose",
        lambda: layers.Conv1DTranspose(4, 3),
        (5, 2),
        5 * 2 * 3 * 4,
    ),
    (
        "depthwise",
        lambda: layers.DepthwiseConv2D(3, depth_multiplier=2),
        (8, 8, 4),
        36 * 4 * 2 * 9,
    ),
    (
        "depthwise 1d",
        lambda: layers.DepthwiseConv1D(3, strides=2),
        (9, 4),
        4 * 4 * 3,
    ),
    (
        "separable",
        lambda: layers.SeparableConv2D(5, 3, depth_multiplier=2),
        (8, 8, 3),
        36 * (6 * 9 + 6 * 5),
    ),
    (
        "separable 1d",
        lambda: layers.SeparableConv1D(5, 3),
        (8, 3),
        6 * (3 * 3 + 3 * 5),
    ),
    ("lstm", lambda: layers.LSTM(5), (6, 3), 6 * 4 * 5 * (3 + 5)),
    (
        "lstm sequences",
        lambda: layers.LSTM(5, return_sequences=True, use_bias=False),
        (6, 3),
        6 * 4 * 5 * (3 + 5),
    ),
    ("gru", lambda: layers.GRU(5), (6, 3), 6 * 3 * 5 * (3 + 5)),
    (
        "gru reset before",
        lambda: layers.GRU(5, reset_after=False),
        (6, 3),
        6 * 3 * 5 * (3 + 5),
    ),
    ("simple rnn", lambda: layers.SimpleRNN(5), (6, 3), 6 * 5 * (3 + 5)),
    (
        "bidirectional",
        lambda: layers.Bidirectional(layers.GRU(5)),
        (6, 3),
        2 * 6 * 3 * 5 * (3 + 5),
    ),
    (
        "stacked cells",
        lambda: layers.RNN([layers.LSTMCell(4), layers.GRUCell(5)]),
        (6, 3),
        6 * (4 * 4 * (3 + 4) + 3 * 5 * (4 + 5)),
    ),
    (
        "conv lstm",
        lambda: layers.ConvLSTM2D(2, 3, padding="same"),
        (4, 5, 6, 3),
        4 * 4 * 5 * 6 * 2 * 9 * (3 + 2),
    ),
    (
        "time distributed",
        lambda: layers.TimeDistributed(layers.Conv2D(4, 3)),
        (6, 5, 5, 2),
        6 * 9 * 4 * 9 * 2,
    ),
    (
        "spectral normalization",
        lambda: layers.SpectralNormalization(layers.Dense(5)),
        (7,),
        7 * 5,
    ),
    (
        "lambda",
        lambda: layers.Lambda(lambda x: ops.matmul(x, ops.ones((7, 3)))),
        (7,),
        7 * 3,
    ),
]


@pytest.mark.parametrize(
    "layer, shape, macs",
    [row[1:] for row in BY_HAND],
    ids=[row[0] for row in BY_HAND],
)
def test_layer_macs_equal_the_hand_count(layer, shape, macs):
    report = of_layer(layer(), shape)
    assert report.unknown == ()
    assert report.macs == macs


# TensorFlow on CPU builds no channels_first convolution.
if keras.backend.backend() != "tensorflow":

    def test_channels_first_is_read_from_the_right_axis():
        layer = layers.Conv2D(4, 3, data_format="channels_first")
        assert of_layer(layer, (2, 8, 9)).macs == 6 * 7 * 4 * 9 * 2


@pytest.mark.parametrize(
    "layer",
    [
        lambda: layers.BatchNormalization(),
        lambda: layers.LayerNormalization(),
        lambda: layers.ReLU(),
        lambda: layers.MaxPooling2D(),
        lambda: layers.GlobalAveragePooling2D(),
        lambda: layers.Dropout(0.5),
        lambda: layers.UpSampling2D(),
        lambda: layers.Rescaling(2.0),
    ],
)
def test_element_wise_layers_have_no_macs(layer):
    report = of_layer(layer(), (4, 4, 3))
    assert (report.macs, report.unknown) == (0, ())


def test_embedding_is_a_lookup():
    report = of_layer(layers.Embedding(100, 8), (6,), "int32")
    assert (report.params, report.macs) == (800, 0)


def test_tied_embedding_counts_the_projection_back():
    embedding = layers.ReversibleEmbedding(100, 8)
    inputs = keras.Input((6,), dtype="int32")
    outputs = embedding(embedding(inputs), reverse=True)
    report = summarize(keras.Model(inputs, outputs))
    assert (report.params, report.macs) == (800, 6 * 8 * 100)


def attention(layer, query=(5, 8), value=(7, 6)):
    q, v = keras.Input(query), keras.Input(value)
    return summarize(keras.Model([q, v], layer(q, v)))


def test_multi_head_attention_equals_the_hand_count():
    report = attention(layers.MultiHeadAttention(2, 4, value_dim=3))
    projections = 5 * 8 * 8 + 7 * 6 * 8 + 7 * 6 * 6 + 5 * 6 * 8
    assert report.unknown == ()
    assert report.macs == projections + 2 * 5 * 7 * (4 + 3)


def test_attention_over_several_axes():
    layer = layers.MultiHeadAttention(2, 4, attention_axes=(2,))
    report = attention(layer, (3, 5, 8), (3, 5, 8))
    projections = 4 * 15 * 8 * 8
    assert report.macs == projections + 3 * 2 * 2 * 5 * 5 * 4


def test_grouped_query_attention_equals_the_hand_count():
    layer = layers.GroupQueryAttention(3, 4, 2)
    report = attention(layer, (5, 8), (5, 8))
    projections = 5 * 8 * 12 + 2 * 5 * 8 * 6 + 5 * 12 * 8
    assert report.macs == projections + 2 * 4 * 5 * 5 * 3


def test_dot_product_attention_layer():
    q, v = keras.Input((5, 8)), keras.Input((7, 8))
    model = keras.Model([q, v], layers.Attention()([q, v]))
    assert summarize(model).macs == 2 * 5 * 7 * 8


def test_dot_layer():
    a, b = keras.Input((5, 8)), keras.Input((7, 8))
    model = keras.Model([a, b], layers.Dot(axes=2)([a, b]))
    assert summarize(model).macs == 5 * 7 * 8


OPS = [
    ("matmul", lambda x: ops.matmul(x, ops.ones((8, 3))), 5 * 8 * 3),
    ("@", lambda x: x @ ops.ones((8, 3)), 5 * 8 * 3),
    (
        "batched",
        lambda x: ops.matmul(x, ops.transpose(x, (0, 2, 1))),
        5 * 8 * 5,
    ),
    ("einsum", lambda x: ops.einsum("bij,jk->bik", x, ops.ones((8, 3))), 120),
    ("einsum dots", lambda x: ops.einsum("...j,jk", x, ops.ones((8, 3))), 120),
    ("tensordot", lambda x: ops.tensordot(x, ops.ones((8, 3)), 1), 120),
    (
        "tensordot axes",
        lambda x: ops.tensordot(x, ops.ones((3, 8)), [[2], [1]]),
        120,
    ),
    ("dot", lambda x: ops.dot(x, ops.ones((8, 3))), 120),
    ("conv", lambda x: ops.conv(x, ops.ones((3, 8, 4))), 3 * 3 * 8 * 4),
    ("elementwise", lambda x: ops.relu(x * 2 + 1), 0),
]


# Keras' own shape rule for `tensordot` with a list of axes warns.
@pytest.mark.filterwarnings("ignore:NotImplemented should not be used")
@pytest.mark.parametrize(
    "function, macs", [row[1:] for row in OPS], ids=[row[0] for row in OPS]
)
def test_op_node_macs_equal_the_hand_count(function, macs):
    inputs = keras.Input((5, 8))
    report = summarize(keras.Model(inputs, function(inputs)))
    assert (report.macs, report.unknown) == (macs, ())


def test_ops_without_a_rule_are_listed():
    inputs = keras.Input((4, 4))
    model = keras.Model(inputs, keras.ops.linalg.inv(inputs) @ inputs)
    report = summarize(model)
    assert report.macs == 4 * 4 * 4
    assert [(row.kind, row.note) for row in report.unknown] == [
        ("Inv", "no rule for Inv")
    ]


def test_einsum_of_three_operands_is_listed_not_guessed():
    inputs = keras.Input((5, 8))
    a, b = ops.ones((8, 3)), ops.ones((3, 2))
    outputs = ops.einsum("bij,jk,kl->bil", inputs, a, b)
    report = summarize(keras.Model(inputs, outputs))
    assert [row.kind for row in report.unknown] == ["Einsum"]


# Published multiply-adds at 224 x 224: 300 M (MobileNetV2 paper, table 4);
# 3.86 G for ResNet-50 v1 with the stride in the first 1x1 convolution.
@pytest.mark.slow
@pytest.mark.parametrize(
    "name, published", [("MobileNetV2", 300e6), ("ResNet50", 3.86e9)]
)
def test_published_totals(name, published):
    model = getattr(keras.applications, name)(weights=None)
    report = summarize(model)
    assert report.unknown == ()
    assert report.params == model.count_params()
    assert report.macs == pytest.approx(published, rel=0.01)
