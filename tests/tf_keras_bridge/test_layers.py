"""Each layer computes the same in tf_keras; one crossing for many layers."""

import keras
import pytest
from keras import layers as L
from tf_keras_bridge.bridged import branches, cross, sequential


def images():
    return branches(
        (8, 8, 4),
        [
            L.Conv2D(3, 3, strides=2, padding="same", activation="gelu"),
            L.Conv2D(4, 3, dilation_rate=2, groups=2, activation="silu"),
            L.Conv2DTranspose(3, 3, strides=2, output_padding=1),
            L.DepthwiseConv2D(3, depth_multiplier=2, padding="same"),
            L.SeparableConv2D(5, 3, depth_multiplier=2, activation="relu"),
            L.AveragePooling2D(3, strides=2, padding="same"),
            L.GlobalMaxPooling2D(keepdims=True),
            L.ZeroPadding2D(((1, 2), (0, 1))),
            L.Cropping2D(1),
            L.UpSampling2D(2, interpolation="bilinear"),
            L.BatchNormalization(axis=1),
            L.BatchNormalization(scale=False, center=False),
            L.LayerNormalization(axis=(2, 3)),
            L.GroupNormalization(2, scale=False),
            L.Dense(3),
            L.Flatten(),
            L.Reshape((-1, 4)),
            L.Permute((3, 1, 2)),
        ],
    )


def preprocessing():
    return branches(
        (8, 8, 4),
        [
            L.Rescaling(2.0, offset=1.0),
            L.Resizing(5, 7),
            L.Resizing(16, 16, interpolation="nearest"),
            L.Resizing(4, 4, crop_to_aspect_ratio=True),
            L.CenterCrop(4, 4),
            L.Normalization(axis=-1),
            L.Normalization(mean=[1.0, 2, 3, 4], variance=[2.0, 3, 4, 5]),
            L.Normalization(axis=None, mean=2.0, variance=3.0),
            L.Normalization(axis=(3, 1)),
            L.Discretization([-0.5, 0.0, 0.5]),
            L.RandomFlip(),
            L.RandomContrast(0.5),
        ],
    )


def activations():
    names = (
        "celu elu exponential gelu hard_shrink hard_sigmoid hard_silu "
        "hard_swish hard_tanh leaky_relu linear log_sigmoid log_softmax mish "
        "relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign "
        "sparse_plus sparse_sigmoid squareplus swish tanh tanh_shrink glu"
    )
    return branches(
        (6,),
        [
            *(L.Activation(name) for name in names.split()),
            L.Dense(4, activation=keras.ops.relu),
            L.PReLU(),
            L.ELU(0.5),
            L.LeakyReLU(0.1),
            L.ReLU(3.0, negative_slope=0.1, threshold=0.2),
            L.Softmax(),
            L.UnitNormalization(),
            L.Identity(),
            L.GaussianNoise(0.1),
            L.GaussianDropout(0.2),
            L.AlphaDropout(0.2),
            L.ActivityRegularization(0.1),
            L.Dense(3, kernel_regularizer="l2", kernel_constraint="max_norm"),
        ],
    )


def sequences():
    return branches(
        (6, 4),
        [
            L.Conv1D(3, 2, padding="causal"),
            L.Conv1DTranspose(3, 2),
            L.DepthwiseConv1D(2),
            L.SeparableConv1D(3, 2),
            L.MaxPooling1D(2),
            L.GlobalAveragePooling1D(),
            L.ZeroPadding1D(1),
            L.UpSampling1D(2),
            L.EinsumDense("...x,xy->...y", output_shape=5, activation="relu"),
            L.TimeDistributed(L.Dense(3)),
            L.SpatialDropout1D(0.1),
        ],
    )


def recurrent():
    return branches(
        (4, 3),
        [
            L.SimpleRNN(3, return_sequences=True, go_backwards=True),
            L.GRU(3, reset_after=False),
            L.LSTM(3, recurrent_activation="hard_sigmoid", dropout=0.1),
            L.Bidirectional(L.GRU(3, return_sequences=True), merge_mode="sum"),
            L.RNN([L.LSTMCell(3), L.GRUCell(3)]),
        ],
    )


def volumes():
    return branches(
        (4, 4, 4, 2),
        [L.Conv3D(2, 2), L.Conv3DTranspose(2, 2), L.MaxPooling3D(2)],
    )


def attention():
    inputs = keras.Input((6, 8))
    other = L.Dense(8)(inputs)
    return keras.Model(
        inputs,
        [
            L.Attention()([inputs, other]),
            L.AdditiveAttention()([inputs, other]),
            L.MultiHeadAttention(2, 4, output_shape=5)(
                inputs, other, use_causal_mask=True
            ),
            *L.MultiHeadAttention(2, 4)(
                inputs, inputs, return_attention_scores=True
            ),
        ],
    )


def merges():
    inputs = keras.Input((6, 8))
    other = L.Dense(8)(inputs)
    kinds = (
        L.Add(),
        L.Subtract(),
        L.Multiply(),
        L.Average(),
        L.Maximum(),
        L.Minimum(),
        L.Concatenate(axis=1),
        L.Dot(axes=1, normalize=True),
    )
    return keras.Model(inputs, [kind([inputs, other]) for kind in kinds])


def masks():
    """Masks reach attention by the tensors, recurrent layers as arguments."""
    inputs = keras.Input((6,), dtype="int32")
    rows = L.Embedding(11, 8, mask_zero=True)(inputs)
    x = L.Dropout(0.1)(L.Dense(8)(rows))
    return keras.Model(
        inputs,
        [
            L.MultiHeadAttention(2, 4)(x, x),
            L.SimpleRNN(3)(x),
            L.GlobalAveragePooling1D()(x),
            L.Add()([x, rows]),
            L.CategoryEncoding(11, output_mode="multi_hot")(inputs),
        ],
    )


def states():
    inputs = keras.Input((4, 3))
    _, hidden, cell = L.LSTM(4, return_state=True)(inputs)
    return keras.Model(inputs, L.LSTM(4)(inputs, initial_state=[hidden, cell]))


FAMILIES = (
    images,
    preprocessing,
    activations,
    sequences,
    recurrent,
    volumes,
    attention,
    merges,
    masks,
    states,
)


# Weights and probes cross as NumPy arrays, whatever the backend.
@pytest.mark.no_backend
@pytest.mark.parametrize("build", FAMILIES, ids=lambda one: one.__name__)
def test_layers_cross(build):
    cross(build())


def test_statistics_of_an_adapted_normalization_cross():
    layer = L.Normalization()
    layer.adapt(keras.random.normal((20, 3), 5.0, 3.0, seed=1))
    model = sequential((3,), layer, L.Dense(2))

    assert "not weights" in str(cross(model).report)


def test_a_recorded_training_argument_does_not_cross():
    """RandomFlip's node holds `training=True`, which flips at inference."""
    inputs = keras.Input((4,))
    x = L.Dropout(0.5)(inputs, training=True)
    cross(keras.Model(inputs, L.BatchNormalization()(x, training=True)))
    bridge = cross(
        sequential((8, 8, 3), L.RandomFlip(), L.Conv2D(2, 3), L.Dropout(0.5))
    )

    assert "random_flip" in str(bridge.report)
    assert not any("flip" in one.name for one in bridge.model.layers)
