"""Opens tensorflow-model-optimization to Keras 3 models."""

from collections.abc import Mapping
from typing import Any

import keras

from keras_netopt.tf_keras_bridge.tfmot_bridge import TfmotBridge


def tfmot(
    model: keras.Model,
    *,
    twins: Mapping[Any, Any] | None = None,
    split_activations: bool = False,
) -> TfmotBridge:
    """Makes an equal model in tf_keras, for tensorflow-model-optimization.

    tfmot takes models of Keras 2 (tf_keras) alone. The twin has the layer
    names and the weights of the model, and its outputs are compared with
    those of the model on random inputs. Nested models become part of the
    twin, ops of `keras.ops` become layers, augmentation is left out.
    `bridge.to_keras` writes the weights that tfmot trained back into a copy
    of the model. Runs on each Keras backend.

    Example:

    >>> import keras
    >>> from keras_netopt import export
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    >>> bridge = export.tfmot(model)
    >>> type(bridge.model).__module__.partition(".")[0]
    'tf_keras'
    >>> bridge.report.weights
    2
    >>> bridge.to_keras(bridge.model).count_params()
    15

    Args:
        model: A built Functional or Sequential model. It is not modified.
        twins: Twins of your own classes and functions: from a Keras layer
            class to a class of tf_keras, which gets the layer's config, or to
            a function that takes the layer and returns its twin; from an
            activation to a function of TensorFlow. Defaults to `None`.
        split_activations: Whether a convolution or dense layer with an
            activation that is followed by `BatchNormalization` becomes a
            linear layer and an `Activation`; quantization-aware training
            refuses it otherwise. The function is the same. Defaults to
            `False`.

    Returns:
        A `TfmotBridge` with the attributes `model` (the twin), `source` (your
        model) and `report`, and the methods `new_twin` and `to_keras`.

    Raises:
        BridgeError: If layers or ops have no twin; it lists all of them. Or
            if the twin computes something else.
        ImportError: If tf_keras is not installed.
        TypeError: If `model` is no Keras model.

    Reference:
        [TensorFlow Model Optimization](https://www.tensorflow.org/model_optimization)
    """
    return TfmotBridge(model, twins=twins, split_activations=split_activations)
