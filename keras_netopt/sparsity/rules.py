"""Which weights may be pruned: by default, on request, or never."""

import enum

import keras

from keras_netopt.sparsity.kernels import DEPTHWISE

KERNELS = ("kernel", "recurrent_kernel", "pointwise_kernel")
NORMALIZATION_WEIGHTS = ("gamma", "beta", "moving_mean", "moving_variance")
NORMALIZATION_LAYERS = (
    keras.layers.BatchNormalization,
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
    keras.layers.Normalization,
    keras.layers.RMSNormalization,
    keras.layers.SpectralNormalization,
)


class Access(enum.Enum):
    """What it takes for a weight to be pruned."""

    DEFAULT = "selected unless excluded"
    ON_REQUEST = "selected by any include that matches it"
    BY_CALLABLE = "selected by a callable include only"
    NEVER = "never selected"


def classify(
    variable: keras.Variable, layer: keras.Layer, *, trainable: bool
) -> tuple[Access, str]:
    """Sorts a weight by what it is, not by its rank alone.

    Rank and name alone mislead: the bias of an attention projection has rank
    two, and the weight of a depthwise convolution is called `kernel`.

    Args:
        variable: The weight.
        layer: The layer that created it.
        trainable: Whether the model trains it.

    Returns:
        What it takes to prune it, and why it is not pruned by default.
    """
    name = variable.name
    if layer.quantization_mode is not None:
        return Access.NEVER, "quantized layer"
    if isinstance(layer, NORMALIZATION_LAYERS) or name in NORMALIZATION_WEIGHTS:
        access = Access.BY_CALLABLE if trainable else Access.NEVER
        return access, "normalization weight"
    if not trainable:
        return Access.NEVER, "not trainable"
    if name.startswith("lora_"):
        return Access.BY_CALLABLE, "LoRA pair"
    if name.endswith("bias"):
        return Access.BY_CALLABLE, "bias"
    return _classify_kernel(variable, layer)


def _classify_kernel(
    variable: keras.Variable, layer: keras.Layer
) -> tuple[Access, str]:
    name = variable.name
    if isinstance(layer, DEPTHWISE) or name == "depthwise_kernel":
        return Access.ON_REQUEST, "depthwise kernel"
    if isinstance(layer, keras.layers.Embedding) or "embeddings" in name:
        return Access.ON_REQUEST, "embedding"
    if name in KERNELS:
        return Access.DEFAULT, ""
    if len(variable.shape) < 2:
        return Access.BY_CALLABLE, "vector"
    return Access.ON_REQUEST, "not named kernel"
