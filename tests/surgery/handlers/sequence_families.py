"""Small models of vectors and sequences: dense, recurrent, attention."""

import keras
import numpy as np
from keras import layers, ops
from surgery.handlers.image_families import image

L = layers


def dense():
    x = L.Input((5,))
    y = L.Dense(8, activation="gelu")(x)
    y = L.Dense(6, activation="sigmoid", use_bias=False)(y)
    return keras.Model(x, L.Dense(3)(y)), image(5)


def einsum():
    x = L.Input((4, 6))
    y = L.EinsumDense("abc,cd->abd", (None, 8), bias_axes="d")(x)
    y = L.EinsumDense("...x,xhd->...hd", (2, 5), bias_axes="hd")(y)
    y = L.EinsumDense("abhd,hdo->abo", (None, 6), bias_axes="o")(y)
    y = L.Reshape((4, 6))(y)
    y = L.EinsumDense("ab...,bc->ac...", 4, bias_axes="c")(y)
    y = L.Flatten()(y)
    return keras.Model(x, L.Dense(2)(y)), image(4, 6)


def einsum_heads():
    """A kernel for each head: the head's axis is on the way."""
    x = L.Input((4, 6))
    y = L.EinsumDense("btd,dhk->bthk", (4, 3, 4))(x)
    y = L.EinsumDense("bthk,hkm->bthm", (4, 3, 5), bias_axes="hm")(y)
    y = L.EinsumDense("bthm,hmo->bto", (4, 2))(y)
    return keras.Model(x, y), image(4, 6)


def embedding():
    x = L.Input((5,), dtype="int32")
    y = L.Embedding(11, 8)(x)
    y = L.GlobalAveragePooling1D()(y)
    return keras.Model(x, L.Dense(2)(y)), np.random.randint(0, 11, (4, 5))


def conv1d():
    x = L.Input((9, 3))
    y = L.Conv1D(8, 3, activation="relu", padding="causal")(x)
    y = L.MaxPooling1D()(y)
    y = L.ZeroPadding1D()(y)
    y = L.Conv1DTranspose(6, 3, strides=2)(y)
    y = L.Cropping1D()(y)
    y = L.UpSampling1D()(y)
    y = L.SeparableConv1D(6, 3)(y)
    y = L.DepthwiseConv1D(3)(y)
    y = L.GlobalMaxPooling1D()(y)
    return keras.Model(x, L.Dense(2)(y)), image(9, 3)


def norms():
    """Normed units stay; the hidden ones beside them are cut."""
    x = L.Input((6, 5))
    y = L.Dense(8)(x)
    y = L.LayerNormalization()(y)
    y = L.Dense(8, activation="relu")(y)
    y = L.Dense(6)(y)
    y = L.RMSNormalization()(y)
    y = L.Dense(6, activation="relu")(y)
    y = L.Dense(4)(y)
    y = L.GroupNormalization(1)(y)
    y = L.Flatten()(y)
    return keras.Model(x, L.Dense(2)(y)), image(6, 5)


def reshapes():
    """A generator, tokens, and axes in another order."""
    x = L.Input((5,))
    y = L.Dense(3 * 3 * 8)(x)
    y = L.Reshape((3, 3, 8))(y)
    y = L.Conv2D(6, 2, padding="same")(y)
    y = L.Reshape((-1, 6))(y)
    y = L.Dense(6, activation="relu")(y)
    y = L.Permute((2, 1))(y)
    y = L.Dense(5)(y)
    y = L.Reshape((30,))(y)
    return keras.Model(x, L.Dense(2)(y)), image(5)


def free_shapes():
    x = L.Input((None, None, 3))
    y = L.Conv2D(6, 3)(x)
    y = L.Reshape((-1, 6))(y)
    y = L.Dense(4, activation="relu")(y)
    y = L.GlobalAveragePooling1D()(y)
    y = L.RepeatVector(3)(y)
    y = L.Dense(4)(y)
    return keras.Model(x, L.Dense(2)(L.Flatten()(y))), image(6, 6, 3)


def recurrent():
    x = L.Input((5, 3))
    y = L.LSTM(6, return_sequences=True)(x)
    y = L.GRU(6, return_sequences=True)(y)
    y = L.GRU(4, reset_after=False, return_sequences=True)(y)
    y = L.SimpleRNN(4, use_bias=False, go_backwards=True)(y)
    return keras.Model(x, L.Dense(2)(y)), image(5, 3)


def states():
    """An encoder hands its states to a decoder."""
    x = L.Input((5, 3))
    y, h, c = L.LSTM(6, return_sequences=True, return_state=True)(x)
    z = L.LSTM(6, return_sequences=True)(x, initial_state=[h, c])
    y = L.Concatenate()([y, z])
    z, s = L.GRU(4, return_state=True)(y)
    return keras.Model(x, L.Dense(2)(L.Concatenate()([z, s]))), image(5, 3)


def conv_recurrent():
    x = L.Input((3, 5, 5, 2))
    y = L.ConvLSTM2D(
        4, 2, strides=2, padding="same", dropout=0.1, return_sequences=True
    )(x)
    y = L.TimeDistributed(L.BatchNormalization())(y)
    y = L.ConvLSTM2D(4, 2, recurrent_activation="hard_sigmoid")(y)
    return keras.Model(x, L.Dense(2)(L.Flatten()(y))), image(3, 5, 5, 2)


def conv_recurrent_ranks():
    """A line, states handed on, both directions, and a volume."""
    x = L.Input((3, 5, 2))
    y, h, c = L.ConvLSTM1D(
        4, 2, padding="same", return_sequences=True, return_state=True
    )(x)
    y = L.ConvLSTM1D(4, 2, padding="same", use_bias=False)(
        y, initial_state=[h, c]
    )
    z, *s = L.Bidirectional(
        L.ConvLSTM1D(4, 2, dilation_rate=2, return_state=True)
    )(x)
    z = L.Flatten()(L.Concatenate()([z, *s]))
    v = L.Reshape((3, 2, 5, 1, 2))(L.Concatenate()([x, x]))
    v = L.ConvLSTM3D(4, (1, 2, 1))(v)
    y = L.Concatenate()([L.Flatten()(y), z, L.Flatten()(v)])
    return keras.Model(x, L.Dense(2)(y)), image(3, 5, 2)


def bidirectional():
    x = L.Input((5, 3))
    y = L.Bidirectional(L.GRU(4, return_sequences=True))(x)
    y = L.Bidirectional(
        L.LSTM(4, return_sequences=True),
        backward_layer=L.GRU(4, return_sequences=True, go_backwards=True),
    )(y)
    y = L.Bidirectional(L.GRU(6, return_sequences=True), merge_mode="sum")(y)
    a, b = L.Bidirectional(L.SimpleRNN(4), merge_mode=None)(y)
    y, *h = L.Bidirectional(L.LSTM(4, return_state=True))(y)
    y = L.Concatenate()([a, y, b, *h])
    return keras.Model(x, L.Dense(2)(y)), image(5, 3)


def time_distributed():
    x = L.Input((3, 6, 6, 2))
    y = L.TimeDistributed(L.Conv2D(6, 3, activation="relu"))(x)
    y = L.TimeDistributed(L.BatchNormalization())(y)
    inner = keras.Sequential(
        [L.Input((4, 4, 6)), L.Conv2D(4, 3), L.Flatten(), L.Dense(5)]
    )
    y = L.TimeDistributed(inner)(y)
    y = L.GRU(4)(y)
    return keras.Model(x, L.Dense(2)(y)), image(3, 6, 6, 2)


def attention():
    x = L.Input((5, 8))
    y = L.Dense(8)(x)
    z = L.MultiHeadAttention(4, 2, value_dim=6, dropout=0.1)(y, y)
    y = L.Add()([y, z])
    z = L.MultiHeadAttention(2, 4, output_shape=6, use_bias=False)(y, x, y)
    z = L.MultiHeadAttention(2, 4, use_gate=True)(z, z, use_causal_mask=True)
    z, s = L.MultiHeadAttention(2, 4)(z, z, return_attention_scores=True)
    y = L.Flatten()(L.Concatenate()([y, z]))
    s = L.GlobalAveragePooling2D(data_format="channels_first")(s)
    return keras.Model(x, L.Dense(2)(L.Concatenate()([y, s]))), image(5, 8)


def attention_over_images():
    x = L.Input((3, 4, 6))
    y = L.Dense(6)(x)
    y = L.MultiHeadAttention(2, 4, attention_axes=(1, 2))(y, y)
    return keras.Model(x, L.Dense(2)(L.Flatten()(y))), image(3, 4, 6)


def stateful():
    x = L.Input(batch_shape=(4, 5, 3))
    y = L.GRU(6, stateful=True, return_sequences=True)(x)
    y = L.RNN(L.LSTMCell(4), stateful=True)(y)
    z = L.Reshape((5, 3, 1))(x)
    z = L.ConvLSTM1D(4, 2, stateful=True)(z)
    y = L.Concatenate()([y, L.Flatten()(z)])
    return keras.Model(x, L.Dense(2)(y)), image(5, 3)


def split_gate():
    """A gate and what it lets pass are halves of one layer."""
    x = L.Input((6, 5))
    y = L.Dense(12)(x)
    gate, value = ops.split(y, 2, axis=-1)
    y = ops.pad(ops.sigmoid(gate) * value, [[0, 0], [1, 1], [0, 0]])
    first, second = ops.split(y, [3], axis=1)
    y = L.GlobalAveragePooling1D()(first) + second[:, 1]
    return keras.Model(x, L.Dense(2)(y)), image(6, 5)


def spread():
    """Flattened with the channels before the positions."""
    x = L.Input((6, 5))
    y = L.Permute((2, 1))(L.Dense(6, activation="relu")(x))
    return keras.Model(x, L.Dense(2)(L.Flatten(name="flat")(y))), image(6, 5)


def grouped_attention():
    """Queries that share keys and values; an output as wide as the query."""
    x = L.Input((5, 8))
    y = L.Dense(6)(x)
    y = L.GroupQueryAttention(4, 4, 2, use_gate=True)(y, y)
    z = L.GroupQueryAttention(2, 2, 2, use_bias=False)(
        y, y, use_causal_mask=True
    )
    z, s = L.GroupQueryAttention(4, 2, 2)(z, z, return_attention_scores=True)
    y = L.Flatten()(z)
    s = L.GlobalAveragePooling2D(data_format="channels_first")(s)
    return keras.Model(x, L.Dense(2)(L.Concatenate()([y, s]))), image(5, 8)


def compared():
    """Scores of queries and keys by layers without projections."""
    x = L.Input((5, 6))
    q, k, v = (L.Dense(width)(x) for width in (4, 4, 6))
    y = L.AdditiveAttention()([q, v, k])
    z = L.Attention(use_scale=True)([L.Dense(3)(x), y, L.Dense(3)(x)])
    s = L.Dot(axes=(2, 2))([L.Dense(3)(z), L.Dense(3)(x)])
    y = L.Flatten()(L.Concatenate()([z, s]))
    y = L.SpectralNormalization(L.Dense(6, activation="relu"))(y)
    return keras.Model(x, L.Dense(2)(y)), image(5, 6)


def tied():
    """Embeddings that make logits; of tied ones the units may only go."""
    x = L.Input((5,), dtype="int32")
    one = L.ReversibleEmbedding(9, 8)
    other = L.ReversibleEmbedding(9, 6, tie_weights=False)
    y = L.Dense(8)(L.Dense(5, activation="relu")(other(x)))
    y = one(L.Add()([one(x), y]), reverse=True)
    y = L.Add()([y, other(L.Dense(6)(y), reverse=True)])
    return keras.Model(x, y), np.random.randint(0, 9, (4, 5))
