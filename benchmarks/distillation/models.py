"""The teacher, the students and their training."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.pruning.models import BATCH, CLASSES, Data
from benchmarks.pruning.models import load_data as load_fashion
from benchmarks.quantization.models import batches

FOLDER = Path("build", "benchmarks", "distillation")
SAMPLES = 6_000
TEACHER = (32, 64, 128)
TEACHER_EPOCHS = 8
RATE = 2e-3
FURTHER = 1000  # Added to the seed for the order of the students' epochs.

__all__ = ["BATCH", "CLASSES"]


@dataclass(frozen=True)
class Setting:
    """One kind of student.

    Args:
        title: For the tables.
        epochs: Epochs of every arm.
        rate: Learning rate of Adam at their begin.
        widths: Of a student that begins untrained; `None`: it begins as the
            trained teacher.
    """

    title: str
    epochs: int
    rate: float
    widths: tuple[int, ...] | None = None


SETTINGS = {
    "small": Setting("small, untrained", 8, RATE, (8, 16, 32)),
    "pruned": Setting("90 % zeros", 4, 1e-3),
    "cut": Setting("an eighth of the MACs", 4, 1e-3),
    "4 bits": Setting("4 bits", 2, 5e-4),
}


@dataclass
class Bench:
    """The data and the trained teachers, one a seed."""

    data: Data = field(init=False)

    def __post_init__(self) -> None:
        (x, y), test = load_fashion("cnn")
        self.data = (x[:SAMPLES], y[:SAMPLES]), test

    def teacher(self, seed: int) -> Any:
        """Returns the trained teacher, also the start of its students."""
        import keras

        path = FOLDER / f"teacher-{seed}.keras"
        if not path.exists():
            FOLDER.mkdir(parents=True, exist_ok=True)
            keras.utils.set_random_seed(seed)
            model = build(TEACHER)
            compile_model(model, RATE, TEACHER_EPOCHS)
            self.train(model, seed, TEACHER_EPOCHS)
            model.save(path)
        return keras.saving.load_model(path)

    def student(self, setting: Setting, seed: int) -> Any:
        """Returns the student before its training, compiled."""
        import keras

        if setting.widths is None:
            model = self.teacher(seed)
        else:
            keras.utils.set_random_seed(seed)
            model = build(setting.widths)
        compile_model(model, setting.rate, setting.epochs)
        return model

    def train(
        self, model: Any, seed: int, epochs: int, callbacks: Any = ()
    ) -> None:
        """Trains with an order of the samples that depends on the seed."""
        import keras

        keras.utils.set_random_seed(seed)
        model.fit(
            batches(self.data[0], seed),
            shuffle=False,
            epochs=epochs,
            callbacks=list(callbacks),
            verbose=0,
        )


def build(widths: tuple[int, ...]) -> Any:
    """Three convolutions with BatchNormalization, pooling, logits."""
    import keras
    from keras import layers

    inputs = keras.Input((28, 28, 1))
    x = inputs
    for width in widths:
        x = layers.Conv2D(width, 3, 2, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU()(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(CLASSES)(x))


def compile_model(
    model: Any, rate: float, epochs: int, loss: Any = None
) -> None:
    """Compiles with Adam, whose rate falls along a cosine to 2 %."""
    import keras

    steps = -(-SAMPLES // BATCH) * epochs
    model.compile(
        keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(rate, steps, alpha=0.02)
        ),
        loss or keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
