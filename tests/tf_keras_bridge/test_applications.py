"""Whole networks cross; slow, because each is built twice."""

import keras
import pytest
from tf_keras_bridge.bridged import arrays, cross

NETWORKS = (
    "MobileNetV2",
    "MobileNetV3Small",
    "EfficientNetB0",
    "ResNet50V2",
    "DenseNet121",
)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_of_keras_applications_cross(name):
    build = getattr(keras.applications, name)
    model = build(
        input_shape=(96, 96, 3),
        weights=None,
        classes=10,
        # A saturated softmax would hide differences.
        classifier_activation=None,
    )
    # Larger weights would make a deep network chaotic.
    bridge = cross(model, spread=0.02)

    assert bridge.report.weights >= 0.9 * len(arrays(model))
