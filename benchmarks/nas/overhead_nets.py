"""A supernet of six choices, and its largest network alone."""

from typing import Any

import keras

from keras_netopt.layers import Choice
from keras_netopt.search import extract
from keras_netopt.search.supernet.architecture import set_architecture
from keras_netopt.search.supernet.searchable_layer import find_decisions

CHOICES = 6
WIDTH = 16
SIZE = 14
LARGEST = {f"edge{k}": 0 for k in range(CHOICES)}
ARMS = (
    "largest network",
    "largest network again",
    "fixed to the largest",
    "single path",
    "mixture",
)


def supernet() -> keras.Model:
    """Candidates with batch normalization; the first is the largest."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    inputs = keras.Input((SIZE, SIZE, 1))
    x = layers.Conv2D(WIDTH, 3, padding="same")(inputs)
    for k in range(CHOICES):
        candidates = [
            _block("conv5", layers.Conv2D, 5),
            _block("conv3", layers.Conv2D, 3),
            _block("separable3", layers.SeparableConv2D, 3),
            layers.Identity(name="skip"),
        ]
        x = Choice(candidates, "uniform", seed=k, name=f"edge{k}")(x)
        if k % 2:
            x = layers.MaxPooling2D()(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10)(x))


def arm(name: str) -> keras.Model:
    """Returns the compiled model of an arm."""
    model = supernet()
    if name.startswith("largest"):
        model = extract(model, LARGEST)
    elif name.startswith("fixed"):
        set_architecture(model, LARGEST)
    elif name == "mixture":
        for decision in find_decisions(model).values():
            decision.set_mode("mixture")
    model.compile(
        keras.optimizers.SGD(0.05, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model


def _block(name: str, kind: Any, size: int) -> keras.Model:
    layers = keras.layers
    return keras.Sequential(
        [
            kind(WIDTH, size, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
        ],
        name=name,
    )
