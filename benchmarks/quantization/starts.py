"""Starting points: one trained network for all arms of a seed."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.pruning.models import Data
from benchmarks.quantization import models

FOLDER = Path("build", "benchmarks", "quantization")
FURTHER = 1000  # Added to the seed for the order of the arms' epochs.


@dataclass
class Bench:
    """The data and the starting points of one setting."""

    kind: str
    setting: models.Setting = field(init=False)
    data: Data = field(init=False)

    def __post_init__(self) -> None:
        self.setting = models.SETTINGS[self.kind]
        self.data = models.load_data(self.setting)

    def start(self, seed: int) -> Any:
        """Returns the trained network with a new optimizer."""
        import keras

        model = self._dense(seed)
        if self.setting.sparsity:
            model = self._pruned(model, seed)
        models.compile_model(
            model, keras, models.fine_rate(self.setting, keras)
        )
        return model

    def start_tf_keras(self, seed: int) -> Any:
        """Returns the same network with the same weights in tf_keras."""
        import tf_keras

        source = self.start(seed)
        model = models.build(
            self.setting.network,
            tf_keras,
            models.fine_rate(self.setting, tf_keras),
        )
        for twin, layer in zip(model.layers, source.layers, strict=True):
            twin.set_weights(layer.get_weights())
        return model

    def train(
        self,
        model: Any,
        seed: int,
        callbacks: list[Any] | None = None,
        *,
        epochs: int | None = None,
    ) -> list[float]:
        """Trains an arm and returns the test accuracy after every epoch.

        The order of the samples depends on TensorFlow's global seed, too.
        """
        import keras

        keras.utils.set_random_seed(FURTHER + seed)
        history = model.fit(
            models.batches(self.data[0], FURTHER + seed),
            shuffle=False,
            epochs=epochs or self.setting.epochs,
            validation_data=self.data[1],
            validation_batch_size=1000,
            callbacks=callbacks or [],
            verbose=0,
        )
        return [round(a, 4) for a in history.history["val_accuracy"]]

    def _dense(self, seed: int) -> Any:
        import keras

        setting = self.setting
        path = FOLDER / f"{setting.network}-{seed}.keras"
        if not path.exists():
            FOLDER.mkdir(parents=True, exist_ok=True)
            keras.utils.set_random_seed(seed)
            model = models.build(setting.network, keras, setting.rate)
            model.fit(
                models.batches(self.data[0], seed),
                shuffle=False,
                epochs=setting.dense_epochs,
                verbose=0,
            )
            model.save(path)
        return keras.saving.load_model(path)

    def _pruned(self, model: Any, seed: int) -> Any:
        import keras

        from keras_netopt.callbacks import Pruning

        setting = self.setting
        path = FOLDER / f"{self.kind}-{seed}.keras"
        if not path.exists():
            self.train(
                model,
                2 * FURTHER + seed,
                [Pruning(setting.sparsity)],
                epochs=setting.pruning_epochs,
            )
            model.save(path)
        return keras.saving.load_model(path)
