import keras
import pytest
from keras import layers

from keras_netopt.progressive.equal_width import find_factor, scale_widths


def convolutional():
    inputs = keras.Input((6, 6, 1))
    x = layers.Conv2D(6, 3, padding="same")(inputs)
    y = layers.BatchNormalization()(layers.Conv2D(6, 3, padding="same")(x))
    x = layers.DepthwiseConv2D(3)(layers.Add()([x, y]))
    return keras.Model(inputs, layers.GlobalAveragePooling2D()(x))


def recurrent():
    inputs = keras.Input((5,), dtype="int32")
    x = layers.Embedding(7, 6)(inputs)
    x = layers.Bidirectional(layers.GRU(4, return_sequences=True))(x)
    x = x + layers.MultiHeadAttention(2, 4)(x, x)
    return keras.Model(inputs, layers.RNN(layers.GRUCell(4))(x))


def nested():
    inner = keras.Sequential(
        [keras.Input((3,)), layers.Dense(6), layers.ReLU()]
    )
    inputs = keras.Input((3,))
    return keras.Model(inputs, layers.Dense(4)(inner(inputs)))


@pytest.mark.parametrize("make", [convolutional, recurrent, nested])
def test_every_width_is_scaled(make):
    model = make()
    wide = scale_widths(model, 1.5)

    assert wide.output_shape[-1] == round(1.5 * model.output_shape[-1])
    assert wide.input_shape == model.input_shape
    assert wide.count_params() > 1.4 * model.count_params()
    assert not {id(v) for v in wide.weights} & {id(v) for v in model.weights}


def test_frozen_layers_are_trainable_in_the_wide_model():
    model = nested()
    model.trainable = False
    assert len(scale_widths(model, 1.0).trainable_variables) == 4


def counter(count):
    """Models that count as many parameters as a function says."""

    class Counted:
        def __init__(self, factor):
            self.factor = factor

        def count_params(self):
            return count(self.factor)

    return Counted


@pytest.mark.no_backend
@pytest.mark.parametrize("power", [1.0, 1.4, 2.0])
@pytest.mark.parametrize("ratio", [1.0, 1.5, 4.0, 40.0])
def test_the_factor_gives_as_many_parameters_or_slightly_more(power, ratio):
    def count(factor):
        return round(10_000 * factor**power)

    found = count(find_factor(counter(count), round(10_000 * ratio)))
    assert 10_000 * ratio <= found <= 1.02 * 10_000 * ratio


@pytest.mark.no_backend
def test_coarse_widths_never_have_fewer_parameters():
    def count(factor):
        return round(3 * factor) ** 2

    assert count(find_factor(counter(count), 20)) == 25


@pytest.mark.no_backend
def test_columns_without_widths_are_refused():
    with pytest.raises(ValueError, match="too few `units` or `filters`"):
        find_factor(counter(lambda factor: 100), 200)
