"""Whether a weight may be pruned: by default, on request, or never."""

import enum

import keras

from keras_netopt.sparsity.kernel_view import DEPTHWISE

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


class Prunability(enum.Enum):
    """When a weight is selected for pruning."""

    DEFAULT = "selected unless excluded"
    ON_REQUEST = "selected by any include that matches it"
    BY_NAME = "selected by an include that matches its own name"
    NEVER = "never selected"


def classify(
    variable: keras.Variable, layer: keras.Layer, *, trainable: bool
) -> tuple[Prunability, str]:
    """Returns when a weight is selected, and why not by default.

    Rank or name alone is not enough: the bias of an attention projection has
    rank two, and the weight of a depthwise convolution is named `kernel`. The
    reason is empty for `Prunability.DEFAULT`.
    """
    name = variable.name
    if layer.quantization_mode is not None:
        return Prunability.NEVER, "quantized layer"
    if isinstance(layer, NORMALIZATION_LAYERS) or name in NORMALIZATION_WEIGHTS:
        prunability = Prunability.BY_NAME if trainable else Prunability.NEVER
        return prunability, "normalization weight"
    if not trainable:
        return Prunability.NEVER, "not trainable"
    if name.startswith("lora_"):
        return Prunability.BY_NAME, "LoRA pair"
    if name.endswith("bias"):
        return Prunability.BY_NAME, "bias"
    return _classify_kernel(variable, layer)


def _classify_kernel(
    variable: keras.Variable, layer: keras.Layer
) -> tuple[Prunability, str]:
    name = variable.name
    if isinstance(layer, DEPTHWISE) or name == "depthwise_kernel":
        return Prunability.ON_REQUEST, "depthwise kernel"
    if isinstance(layer, keras.layers.Embedding) or "embeddings" in name:
        return Prunability.ON_REQUEST, "embedding"
    if name in KERNELS:
        return Prunability.DEFAULT, ""
    if len(variable.shape) < 2:
        return Prunability.BY_NAME, "vector"
    return Prunability.ON_REQUEST, "not named kernel"
