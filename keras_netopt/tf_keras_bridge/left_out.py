"""Layers that compute nothing at inference."""

from typing import Any

import keras

_AUGMENTATION = (
    "AugMix CutMix MixUp RandAugment RandomBrightness RandomColorDegeneration "
    "RandomColorJitter RandomContrast RandomElasticTransform RandomErasing "
    "RandomFlip RandomGaussianBlur RandomGrayscale RandomHue RandomInvert "
    "RandomPerspective RandomPosterization RandomRotation RandomSaturation "
    "RandomSharpness RandomShear RandomTranslation RandomZoom"
).split()


def is_left_out(operation: Any) -> bool:
    """Whether a layer is an augmentation of Keras."""
    kind = type(operation)
    name = kind.__name__
    return name in _AUGMENTATION and getattr(keras.layers, name, None) is kind
