"""The arms of the accuracy comparison: one function trains one row."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.pruning import models, sizes

DENSE_EPOCHS = 6
PRUNING_EPOCHS = 4
SECOND = 1000  # Added to the seed for the order of the second fit.
TFMOT_FREQUENCY = 50
SPARSITIES = (0.9, 0.95, 0.98, 0.99)

Row = dict[str, Any]


@dataclass
class Bench:
    """Data of one network and its trained starting points, one a seed.

    Args:
        kind: "mlp" or "cnn".
        folder: Where the starting points are kept.
    """

    kind: str
    folder: Path
    data: models.Data = field(init=False)

    def __post_init__(self) -> None:
        self.data = models.load_data(self.kind)

    def start(self, seed: int) -> Any:
        """Returns the net after the dense epochs, optimizer state included."""
        import keras

        path = self.folder / f"{self.kind}-{seed}.keras"
        if not path.exists():
            keras.utils.set_random_seed(seed)
            model = models.build(self.kind, keras)
            self.fit(model, DENSE_EPOCHS, seed)
            model.save(path)
        return keras.saving.load_model(path)

    def start_tf_keras(self, seed: int) -> Any:
        """Returns the same in tf_keras, trained there."""
        import tf_keras

        path = self.folder / f"{self.kind}-{seed}-tf_keras.keras"
        if not path.exists():
            tf_keras.utils.set_random_seed(seed)
            model = models.build(self.kind, tf_keras)
            self.fit(model, DENSE_EPOCHS, seed)
            model.save(path)
        return tf_keras.models.load_model(path)

    def fit(
        self,
        model: Any,
        epochs: int,
        seed: int,
        callbacks: list[Any] | None = None,
    ) -> list[float]:
        """Trains and returns the test accuracy after every epoch."""
        history = model.fit(
            self._shuffled(seed),
            shuffle=False,
            epochs=epochs,
            validation_data=self.data[1],
            callbacks=callbacks or [],
            verbose=0,
        )
        return [round(a, 4) for a in history.history["val_accuracy"]]

    def _shuffled(self, seed: int) -> Any:
        """Batches in a new order every epoch.

        Arrays are not given to `fit`: after `set_random_seed` TensorFlow
        shuffles them to one and the same order in every epoch.
        """
        import tensorflow as tf

        x, y = (tf.constant(array) for array in self.data[0])
        order = tf.data.Dataset.range(len(x)).shuffle(len(x), seed=seed)
        batches = order.batch(models.BATCH)
        return batches.map(lambda i: (tf.gather(x, i), tf.gather(y, i)))


def run_dense(bench: Bench, sparsity: float, seed: int) -> Row:
    """Trains on without pruning: the dense parent."""
    model = bench.start(seed)
    epochs = bench.fit(model, PRUNING_EPOCHS, SECOND + seed)
    return _row(model, epochs, _dense_sizes(model, seed))


def run_ours(bench: Bench, sparsity: float, seed: int) -> Row:
    """Prunes with the defaults of `Pruning`."""
    return _prune(bench, sparsity, seed, {})


def run_random(bench: Bench, sparsity: float, seed: int) -> Row:
    """Prunes random weights: what the choice of weights is worth."""
    return _prune(bench, sparsity, seed, {"score": "random", "seed": seed})


def run_uniform(bench: Bench, sparsity: float, seed: int) -> Row:
    """Prunes each layer to the same sparsity."""
    return _prune(bench, sparsity, seed, {"allocation": "uniform"})


def run_erk(bench: Bench, sparsity: float, seed: int) -> Row:
    """Prunes with Erdős–Rényi-Kernel allocation."""
    return _prune(bench, sparsity, seed, {"allocation": "erk"})


def _prune(
    bench: Bench, sparsity: float, seed: int, options: dict[str, Any]
) -> Row:
    from keras_netopt.callbacks import Pruning

    model = bench.start(seed)
    callback = Pruning(sparsity, **options)
    epochs = bench.fit(model, PRUNING_EPOCHS, SECOND + seed, [callback])
    measured = {} if options else sizes.measure(model)
    return _row(model, epochs, measured)


def run_small(bench: Bench, sparsity: float, seed: int) -> Row:
    """Trains a narrow dense net with as many weights as pruning keeps."""
    import keras

    keras.utils.set_random_seed(seed)
    widths = models.small_widths(bench.kind, sparsity)
    model = models.build(bench.kind, keras, widths)
    epochs = bench.fit(model, DENSE_EPOCHS + PRUNING_EPOCHS, seed)
    row = _row(model, epochs, _dense_sizes(model, seed))
    return {**row, "widths": widths}


def run_tfmot(bench: Bench, sparsity: float, seed: int) -> Row:
    """Prunes with tensorflow_model_optimization: 0 -> s over two epochs."""
    import tensorflow_model_optimization as tfmot
    import tf_keras

    steps = -(-len(bench.data[0][0]) // models.BATCH)
    schedule = tfmot.sparsity.keras.PolynomialDecay(
        initial_sparsity=0.0,
        final_sparsity=sparsity,
        begin_step=0,
        end_step=steps * PRUNING_EPOCHS // 2,
        frequency=TFMOT_FREQUENCY,
    )
    wrapped = tfmot.sparsity.keras.prune_low_magnitude(
        bench.start_tf_keras(seed), pruning_schedule=schedule
    )
    models.compile_model(wrapped, tf_keras)
    update = tfmot.sparsity.keras.UpdatePruningStep()
    epochs = bench.fit(wrapped, PRUNING_EPOCHS, SECOND + seed, [update])
    model = tfmot.sparsity.keras.strip_pruning(wrapped)
    return _row(model, epochs, sizes.measure_tf_keras(model))


def _dense_sizes(model: Any, seed: int) -> dict[str, int]:
    """Without zeros the bytes hardly depend on the seed: one is enough."""
    return sizes.measure(model, sizes.DENSE_FORMS) if seed == 0 else {}


def _row(model: Any, epochs: list[float], size: dict[str, int]) -> Row:
    kernels = [np.asarray(v) for v in model.get_weights() if v.ndim > 1]
    kept = [int(np.count_nonzero(k)) for k in kernels]
    return {
        "accuracy": epochs[-1],
        "epoch_accuracy": epochs,
        "weights": sum(k.size for k in kernels),
        "kept": sum(kept),
        "kept_per_layer": kept,
        "bytes": size,
    }


@dataclass(frozen=True)
class Arm:
    """One line of the comparison.

    Args:
        run: Function of bench, sparsity and seed that trains and measures.
        title: Its name in tables.
        sparsities: Where it is measured. Defaults to `SPARSITIES`.
    """

    run: Callable[[Bench, float, int], Row]
    title: str
    sparsities: tuple[float, ...] = SPARSITIES


ARMS = {
    "dense": Arm(run_dense, "dense, 10 epochs", (0.0,)),
    "ours": Arm(run_ours, "`Pruning(s)`"),
    "tfmot": Arm(run_tfmot, "tfmot 0.8.1 on tf_keras"),
    "small": Arm(run_small, "small dense net, as many weights"),
    "random": Arm(run_random, '`Pruning(s, score="random")`'),
    "uniform": Arm(run_uniform, '`Pruning(s, allocation="uniform")`'),
    "erk": Arm(run_erk, '`Pruning(s, allocation="erk")`'),
}
