"""The arms of tensorflow_model_optimization, on tf_keras."""

from collections.abc import Callable
from typing import Any

from benchmarks.quantization import files, models
from benchmarks.quantization.starts import Bench

CLUSTERS = 16

Row = dict[str, Any]


def run_qat(bench: Bench, seed: int) -> Row:
    """Quantization-aware training, its default scheme of 8 bits."""
    import tensorflow_model_optimization as tfmot

    model = bench.start_tf_keras(seed)
    return _train(bench, tfmot.quantization.keras.quantize_model(model), seed)


def run_pqat(bench: Bench, seed: int) -> Row:
    """Quantization-aware training that keeps the zeros."""
    import tensorflow_model_optimization as tfmot

    chosen = tfmot.experimental.combine.Default8BitPrunePreserveQuantizeScheme()
    return _train_scheme(bench, bench.start_tf_keras(seed), chosen, seed)


def run_pcqat(bench: Bench, seed: int) -> Row:
    """Clusters that keep the zeros, then training that keeps both."""
    import tensorflow_model_optimization as tfmot
    from tensorflow_model_optimization.python.core.clustering.keras.experimental import (  # noqa: E501
        cluster,
    )

    model = cluster.cluster_weights(
        bench.start_tf_keras(seed),
        number_of_clusters=CLUSTERS,
        cluster_centroids_init=(
            tfmot.clustering.keras.CentroidInitialization.KMEANS_PLUS_PLUS
        ),
        preserve_sparsity=True,
    )
    model = tfmot.clustering.keras.strip_clustering(model)
    chosen = (
        tfmot.experimental.combine.Default8BitClusterPreserveQuantizeScheme(
            preserve_sparsity=True
        )
    )
    strip = tfmot.experimental.combine.strip_clustering_cqat
    return _train_scheme(bench, model, chosen, seed, strip=strip)


def _train_scheme(
    bench: Bench, model: Any, scheme: Any, seed: int, **options: Any
) -> Row:
    from tensorflow_model_optimization.quantization.keras import (
        quantize_annotate_model,
        quantize_apply,
    )

    wrapped = quantize_apply(quantize_annotate_model(model), scheme)
    return _train(bench, wrapped, seed, **options)


def _train(
    bench: Bench,
    wrapped: Any,
    seed: int,
    strip: Callable[[Any], Any] = lambda model: model,
) -> Row:
    import tf_keras

    rate = models.fine_rate(bench.setting, tf_keras)
    models.compile_model(wrapped, tf_keras, rate)
    epochs = bench.train(wrapped, seed)
    return {
        "accuracy": epochs[-1],
        "epoch_accuracy": epochs,
        "form": "tfmot",
        "file": files.convert_tf_keras(strip(wrapped), bench.data[1]),
    }
