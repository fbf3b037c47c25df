"""The data and the starting points, one of each for all arms of a seed."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.pruning.models import BATCH
from benchmarks.quantization import models

FOLDER = Path("build", "benchmarks", "tfmot_bridge")
SETTING = models.Setting(
    "MobileNet-like",
    "mobile",
    samples=12_000,
    rate=3e-3,
    dense_epochs=6,
    epochs=3,
    pruning_epochs=3,
    sparsity=0.8,
)
FURTHER = 1000  # Added to the seed for the order of the arms' epochs.


class Starts:
    """Fashion-MNIST and the trained networks of a seed."""

    def __init__(self) -> None:
        self.data = models.load_data(SETTING)

    def dense(self, seed: int) -> Any:
        """Returns the trained network."""
        return self._load(f"dense-{seed}", lambda: self._train_dense(seed))

    def pruned(self, seed: int) -> Any:
        """Returns the network with 80 % zeros."""
        return self._load(f"pruned-{seed}", lambda: self._prune(seed))

    def fit(
        self,
        training: Any,
        package: Any,
        seed: int,
        epochs: int,
        callbacks: list[Any] | None = None,
    ) -> None:
        """Compiles anew and trains; the rate falls from 1e-3 to 2 % of it."""
        import keras

        setting = dataclasses.replace(SETTING, epochs=epochs)
        rate = models.fine_rate(setting, package)
        models.compile_model(training, package, rate)
        keras.utils.set_random_seed(FURTHER + seed)
        training.fit(
            models.batches(self.data[0], FURTHER + seed),
            epochs=epochs,
            callbacks=callbacks or [],
            verbose=0,
        )

    def measure(self, training: Any) -> float:
        """Returns the accuracy on the test images."""
        x, y = self.data[1]
        logits = training.predict(x, batch_size=1000, verbose=0)
        return round(float(np.mean(logits.argmax(1) == y)), 4)

    def _load(self, name: str, train: Any) -> Any:
        import keras

        path = FOLDER / f"{name}.keras"
        if not path.exists():
            FOLDER.mkdir(parents=True, exist_ok=True)
            train().save(path)
        return keras.saving.load_model(path)

    def _train_dense(self, seed: int) -> Any:
        import keras

        keras.utils.set_random_seed(seed)
        model = models.build(SETTING.network, keras, SETTING.rate)
        model.fit(
            models.batches(self.data[0], seed),
            epochs=SETTING.dense_epochs,
            verbose=0,
        )
        return model

    def _prune(self, seed: int) -> Any:
        import keras

        from keras_netopt.callbacks import Pruning

        model = self.dense(seed)
        pruning = Pruning(SETTING.sparsity)
        self.fit(model, keras, seed, SETTING.pruning_epochs, [pruning])
        return model


def describe() -> dict[str, Any]:
    """Returns what was measured, for the file of the results."""
    return {
        "data": "Fashion-MNIST, 10,000 test images",
        "optimizer": "Adam",
        "batch": BATCH,
        **dataclasses.asdict(SETTING),
    }
