"""Whether a weight may be pruned: by default, on request, or never."""

import enum
import re

import keras

from keras_netopt.graph.layers import weight_name
from keras_netopt.sparsity.kernel_view import DEPTHWISE

KERNELS = ("kernel", "recurrent_kernel", "pointwise_kernel")
# Words in the names of weights that layers of other authors multiply with.
KERNEL_WORDS = {
    *("kernel", "kernels", "weight", "weights", "matrix", "dense", "linear"),
    *("proj", "projection", "w", "ws", "wq", "wk", "wv", "wo", "wi"),
}
EXPERT_WORDS = {"expert", "experts"}
# Words in the names of weights that are looked up, added or copied.
TABLE_WORDS = {
    *("embedding", "embeddings", "embed", "emb", "token", "tokens", "pos"),
    *("position", "positions", "positional", "table", "codebook"),
}
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
    rank two, and the weight of a depthwise convolution is named `kernel`. A
    matrix, or stack of matrices, that a layer of another author made is a
    kernel by default if a word of its name says so. The reason is empty for
    `Prunability.DEFAULT`.
    """
    name = weight_name(variable, layer)
    if layer.quantization_mode is not None:
        return Prunability.NEVER, "quantized layer"
    if _is_normalization(name, layer):
        prunability = Prunability.BY_NAME if trainable else Prunability.NEVER
        return prunability, "normalization weight"
    if not trainable:
        has_lora = getattr(layer, "lora_enabled", False)
        reason = "frozen under LoRA" if has_lora else "not trainable"
        return Prunability.NEVER, reason
    if name.startswith("lora_"):
        return Prunability.BY_NAME, "LoRA pair"
    if name.endswith("bias"):
        return Prunability.BY_NAME, "bias"
    return _classify_kernel(variable, layer)


def is_kernel(variable: keras.Variable, layer: keras.Layer) -> bool:
    """Whether a weight counts in the sparsity of a model.

    The model multiplies with it or looks its rows up: kernels, trained or
    frozen, embeddings and other matrices, but no biases, normalization
    weights, scales and LoRA pairs.
    """
    name = weight_name(variable, layer)
    if len(variable.shape) < 2 or _is_normalization(name, layer):
        return False
    if name.startswith("lora_") or name.endswith(("bias", "scale", "zero")):
        return False
    dtype = keras.backend.standardize_dtype(variable.dtype)
    if "float" not in dtype and layer.quantization_mode is None:
        return False
    return (
        name in KERNELS
        or _is_depthwise(name, layer)
        or _is_embedding(name, layer)
        or _is_matrix(variable)
    )


def _classify_kernel(
    variable: keras.Variable, layer: keras.Layer
) -> tuple[Prunability, str]:
    name = weight_name(variable, layer)
    if _is_depthwise(name, layer):
        return Prunability.ON_REQUEST, "depthwise kernel"
    if _is_embedding(name, layer):
        return Prunability.ON_REQUEST, "embedding"
    if name in KERNELS:
        return Prunability.DEFAULT, ""
    if len(variable.shape) < 2:
        return Prunability.BY_NAME, "vector"
    words = set(re.split(r"[_\W\d]+", name.lower()))
    if TABLE_WORDS & words:
        return Prunability.ON_REQUEST, "table"
    if _is_matrix(variable) and (
        KERNEL_WORDS & words
        or (EXPERT_WORDS & words and len(variable.shape) > 2)
    ):
        return Prunability.DEFAULT, ""
    return Prunability.ON_REQUEST, "not named kernel"


def _is_normalization(name: str, layer: keras.Layer) -> bool:
    return isinstance(layer, NORMALIZATION_LAYERS) or (
        name in NORMALIZATION_WEIGHTS
    )


def _is_depthwise(name: str, layer: keras.Layer) -> bool:
    return isinstance(layer, DEPTHWISE) or name == "depthwise_kernel"


def _is_embedding(name: str, layer: keras.Layer) -> bool:
    return isinstance(layer, keras.layers.Embedding) or "embeddings" in name


def _is_matrix(variable: keras.Variable) -> bool:
    """Whether the last two axes are longer than one."""
    return len(variable.shape) > 1 and min(variable.shape[-2:]) > 1
