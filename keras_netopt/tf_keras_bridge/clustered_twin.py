"""Weight clustering with tfmot."""

import warnings
from typing import Any

import numpy as np

from keras_netopt.checks import check_bool, check_integer
from keras_netopt.tf_keras_bridge.bridge_error import BridgeError
from keras_netopt.tf_keras_bridge.twin_training import TwinTraining
from keras_netopt.warnings import NoEffectWarning


class ClusteredTwin(TwinTraining):
    """A model of tf_keras whose kernels hold few different values.

    `TfmotBridge.cluster` makes one.

    Args:
        bridge: The crossing of the source.
        number_of_clusters: As in `TfmotBridge.cluster`. Defaults to `16`.
        preserve_sparsity: Likewise. Defaults to `False`.
    """

    def __init__(
        self,
        bridge: Any,
        *,
        number_of_clusters: int = 16,
        preserve_sparsity: bool = False,
    ) -> None:
        least = 3 if preserve_sparsity else 2
        check_bool(preserve_sparsity, "preserve_sparsity")
        check_integer(number_of_clusters, "number_of_clusters", minimum=least)
        self.skipped: dict[str, str] = {}
        model = self._wrap(
            bridge.new_twin(), number_of_clusters, preserve_sparsity
        )
        super().__init__(bridge, model)
        if preserve_sparsity and not any(
            np.any(weight.numpy() == 0)
            for layer in bridge.model.layers
            for weight in layer.weights
            if len(weight.shape) > 1
        ):
            warnings.warn(
                "preserve_sparsity=True has no effect: no kernel holds zeros. "
                "Prune the model first, with `callbacks.Pruning`.",
                NoEffectWarning,
                stacklevel=3,
            )

    def _wrap(self, twin: Any, number: int, preserve_sparsity: bool) -> Any:
        import tf_keras
        from tensorflow_model_optimization.python.core.clustering.keras.experimental.cluster import (  # noqa: E501
            cluster_weights,
        )

        def wrap(layer: Any) -> Any:
            if not _has_kernel(layer):
                return layer
            if reason := _refuse(layer, number, preserve_sparsity):
                self.skipped[layer.name] = reason
                return layer
            return cluster_weights(
                layer,
                number_of_clusters=_count_clusters(
                    layer, number, preserve_sparsity
                ),
                preserve_sparsity=preserve_sparsity,
            )

        count = sum(map(_has_kernel, twin.layers))
        model = tf_keras.models.clone_model(twin, clone_function=wrap)
        if len(self.skipped) == count:
            raise BridgeError(
                f"tfmot clusters no layer of '{twin.name}':\n"
                + "\n".join(f"- {k}: {v}" for k, v in self.skipped.items())
            )
        return model

    def _unwrapped(self) -> Any:
        import tensorflow_model_optimization as tfmot

        return tfmot.clustering.keras.strip_clustering(self.model)


def _has_kernel(layer: Any) -> bool:
    return any(len(weight.shape) > 1 for weight in layer.weights)


def _refuse(layer: Any, number: int, preserve_sparsity: bool) -> str:
    """Says why tfmot does not cluster a layer, or returns ""."""
    import tf_keras
    from tensorflow_model_optimization.python.core.clustering.keras.clustering_registry import (  # noqa: E501
        ClusteringRegistry,
    )

    kind = type(layer).__name__
    if not layer.trainable_weights:
        return "it is frozen"
    if isinstance(layer, tf_keras.layers.MultiHeadAttention):
        return "tfmot finds no kernels inside MultiHeadAttention"
    if not ClusteringRegistry.supports(layer):
        return f"tfmot does not cluster {kind}"
    kernels = _clusterable_kernels(layer)
    if not kernels:
        return f"tfmot does not cluster {kind}"
    smallest = min(kernel.size for kernel in kernels)
    if smallest <= number:
        return f"a kernel has {smallest} weights, not more than clusters"
    if preserve_sparsity and _count_clusters(layer, number, True) < 3:
        return "a kernel has fewer than two weights that are not zero"
    return ""


def _count_clusters(layer: Any, number: int, preserve_sparsity: bool) -> int:
    """Returns the clusters of a layer: zero and at most one per other weight.

    tfmot looks for as many centroids as there are clusters among the weights
    that are not zero, and fails where those are fewer.
    """
    if not preserve_sparsity:
        return number
    kernels = _clusterable_kernels(layer)
    return min(number, *(int(np.count_nonzero(k)) + 1 for k in kernels))


def _clusterable_kernels(layer: Any) -> list[np.ndarray]:
    from tensorflow_model_optimization.python.core.clustering.keras.clustering_registry import (  # noqa: E501
        ClusteringRegistry,
    )

    made = ClusteringRegistry.make_clusterable(layer)
    return [weight.numpy() for _, weight in made.get_clusterable_weights()]
