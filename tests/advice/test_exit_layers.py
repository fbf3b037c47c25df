import keras
from advice import models
from advice.models import about
from keras import layers

import keras_netopt as netopt
from keras_netopt.advice import layer_rules
from keras_netopt.advice.exit_layers import find_exit_layers
from keras_netopt.cost import summarize


def residual(blocks=6, depth=1):
    """The blocks end at `add*`; inside them two tensors live."""
    x = inputs = keras.Input((16, 16, 8))
    for number in range(blocks):
        y = x
        for _ in range(depth):
            y = layers.Conv2D(8, 3, padding="same")(y)
        x = layers.Add(name=f"add{number}")([x, y])
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(x))


def test_exits_stand_behind_blocks():
    model = residual()

    assert find_exit_layers(model, summarize(model)) == ["add0", "add2"]


def test_no_exit_inside_a_block():
    """The bug: an eighth of the MACs lies where the shortcut lives on."""
    model = residual(blocks=4, depth=2)

    assert find_exit_layers(model, summarize(model)) == ["add1"]


def test_exits_inside_a_nested_backbone():
    inputs = keras.Input((16, 16, 8))
    whole = residual()
    backbone = keras.Model(
        whole.input, whole.get_layer("add5").output, name="backbone"
    )
    x = layers.GlobalAveragePooling2D()(backbone(inputs))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(x))

    found = find_exit_layers(model, summarize(model))

    assert found == ["backbone/add0", "backbone/add2"]
    assert len(netopt.depth.add_exits(model, layers=found).outputs) == 3


def test_the_line_of_the_finding_runs():
    model = models.classifier()

    (finding,) = layer_rules.add_early_exits(about(model))

    scope = {"netopt": netopt, "model": model}
    exec(finding.code, scope)
    assert len(scope["exits"].outputs) == 2
    assert "['relu1']" in finding.code


def test_no_exit_in_an_empty_part():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])

    assert find_exit_layers(model, summarize(model)) == []
