"""Marks the layers of a model for tfmot and wraps them."""

from collections.abc import Collection
from typing import Any

from keras_netopt.tf_keras_bridge.replaced_function import replaced_function

# Layers whose call has more than tensors, or returns more than one.
_UNWRAPPABLE = ("RNN", "Bidirectional", "MultiHeadAttention", "Lambda")


def quantize_twin(twin: Any, scheme: Any, skipped: Collection[str] = ()) -> Any:
    """Returns the model of quantization-aware training.

    Args:
        twin: A Functional model of tf_keras. It is not modified.
        scheme: Of `make_scheme`.
        skipped: Names of the layers that compute in float. Their outputs are
            quantized where tfmot can wrap the layer, so that the layers after
            them stay integer.

    Returns:
        A model of tf_keras whose layers are wrapped. Frozen layers stay
        frozen; in tfmot's own model their kernels are trained.
    """
    from tensorflow_model_optimization.quantization.keras import (
        quantize_apply,
        quantize_scope,
    )

    with quantize_scope(), _clusters_per_kernel():
        model = quantize_apply(_annotate(twin, skipped), scheme)
    for layer in model.layers:
        if hasattr(layer, "quantize_config") and not layer.layer.trainable:
            # In place: tf_keras would sort an assigned list again.
            frozen = list(layer._trainable_weights)
            layer._trainable_weights.clear()
            layer._non_trainable_weights[:0] = frozen
    return model


def is_wrappable(layer: Any) -> bool:
    """Whether the output of an unsupported layer can be quantized."""
    import tf_keras

    kinds = (
        tf_keras.Model,
        *(getattr(tf_keras.layers, name) for name in _UNWRAPPABLE),
    )
    if isinstance(layer, kinds) or len(layer.inbound_nodes) != 1:
        return False
    output = layer.output
    return (
        not isinstance(output, list | tuple | dict)
        and output.dtype == "float32"
        and layer.output_mask is None
    )


def _annotate(twin: Any, skipped: Collection[str]) -> Any:
    import tf_keras
    from tensorflow_model_optimization.python.core.quantization.keras.default_8bit.default_8bit_quantize_configs import (  # noqa: E501
        Default8BitOutputQuantizeConfig,
    )
    from tensorflow_model_optimization.quantization.keras import (
        quantize_annotate_layer,
    )

    def mark(layer: Any) -> Any:
        copy = type(layer).from_config(layer.get_config())
        if layer.name not in skipped:
            return quantize_annotate_layer(copy)
        if not is_wrappable(layer):
            return copy
        config = Default8BitOutputQuantizeConfig()
        return quantize_annotate_layer(copy, config)

    marked = tf_keras.models.clone_model(twin, clone_function=mark)
    marked.set_weights(twin.get_weights())
    return marked


def _clusters_per_kernel() -> Any:
    """Keeps the clusters of a whole kernel.

    tfmot trains a codebook per output channel of a `Conv2D` wherever the
    channels hold about equally many values, which makes up to `clusters x
    channels` values out of the clusters of the kernel.
    """
    import tensorflow as tf
    from tensorflow_model_optimization.python.core.quantization.keras.collab_opts.cluster_preserve import (  # noqa: E501
        cluster_preserve_quantize_registry as registry,
    )

    def get_centroids(layer: Any, weight: Any, data_format: Any) -> Any:
        del layer, data_format
        centroids, index = registry.get_unique(weight)
        return centroids, tf.size(centroids), index, False

    return replaced_function(registry, "get_centroids", get_centroids)
