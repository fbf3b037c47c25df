"""Networks that are compiled once and trained by many arms, and their data."""

import itertools
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from benchmarks.pruning import models
from keras_netopt.training import MaskStore

BATCH = 128
LEARNING_RATES = {"adam": 1e-3, "sgd": 0.05}
MOMENTUM = 0.9
WIDTHS = {"mlp": (300, 100), "cnn": (16, 32, 64)}
SHAPES = {"mlp": (784,), "cnn": (28, 28, 1)}
STEPS = {"mlp": 936, "cnn": 468}  # Two passes and one.
FREQUENCIES = {"mlp": 100, "cnn": 50}  # Of the mask updates of SparseTraining.
CLASSES = 10

Arrays = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Setting:
    """What all arms of one comparison share.

    Args:
        model: "mlp" (784-300-100-10) or "cnn" (convolutions with 16 filters
            of 4x4, stride 4, and 32 filters of 3x3, stride 2; Dense 64).
        optimizer: "adam" or "sgd" (with momentum).
        inputs: "raw" (pixels / 255) or "standard" (zero mean and unit
            standard deviation over all pixels of the training set).
    """

    model: str
    optimizer: str
    inputs: str


class Batches(keras.utils.PyDataset):
    """Batches of a training set in an order drawn before, pass by pass.

    Args:
        data: Inputs and labels.
        steps: Number of batches.
        seed: Seed of the order.
    """

    def __init__(self, data: Arrays, steps: int, seed: int) -> None:
        super().__init__()
        self.data, self.steps = data, steps
        rng, count = np.random.default_rng(seed), len(data[0])
        whole = count // BATCH
        self.orders = [
            rng.permutation(count) for _ in range(-(-steps // whole))
        ]

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> Arrays:
        turn, place = divmod(step, len(self.data[0]) // BATCH)
        chosen = self.orders[turn][place * BATCH : (place + 1) * BATCH]
        return self.data[0][chosen], self.data[1][chosen]


@dataclass
class Nets:
    """Compiled networks, one for each kind of training step.

    Compiling a step takes longer than training an arm, so arms with the same
    step share a network: it gets the initial values of the seed, and its
    optimizer those of a new one.
    """

    compiled: dict[Any, keras.Model] = field(default_factory=dict)
    data: dict[Any, tuple[Arrays, Arrays]] = field(default_factory=dict)

    def get(
        self,
        setting: Setting,
        seed: int,
        step: str,
        widths: tuple[int, ...] | None = None,
    ) -> keras.Model:
        """Returns an untrained network.

        Args:
            setting: Network and optimizer.
            seed: Seed of the initial values.
            step: Arms with the same word share a compiled step.
            widths: Units of the hidden layers. Defaults to `None`: those of
                the dense network.
        """
        # Random masks depend on the names of layers, which count up.
        keras.utils.clear_session(free_memory=False)
        keras.utils.set_random_seed(seed)
        fresh = build(setting.model, widths or WIDTHS[setting.model])
        key = (setting.model, setting.optimizer, step, widths)
        if key not in self.compiled:
            _compile(fresh, setting.optimizer)
            self.compiled[key] = fresh
            return fresh
        model = self.compiled[key]
        _restore(model, fresh.get_weights())
        return model

    def load(self, setting: Setting) -> tuple[Arrays, Arrays]:
        """Returns training and test set with the setting's scaling."""
        key = (setting.model, setting.inputs)
        if key not in self.data:
            train, test = models.load_data(setting.model)
            mean, scale = 0.0, 1.0
            if setting.inputs == "standard":
                mean, scale = float(train[0].mean()), float(train[0].std())
            self.data[key] = tuple(
                ((x - mean) / scale, y) for x, y in (train, test)
            )
        return self.data[key]


def build(kind: str, widths: tuple[int, ...]) -> keras.Model:
    """Returns a network that is not compiled; `widths` of its hidden layers."""
    layers = keras.layers
    if kind == "mlp":
        stack = [layers.Dense(n, activation="relu") for n in widths]
    else:
        first, second, dense = widths
        stack = [
            layers.Conv2D(first, 4, strides=4, activation="relu"),
            layers.Conv2D(
                second, 3, strides=2, padding="same", activation="relu"
            ),
            layers.Flatten(),
            layers.Dense(dense, activation="relu"),
        ]
    inputs = keras.Input(SHAPES[kind])
    return keras.Sequential([inputs, *stack, layers.Dense(CLASSES)])


def count_kernels(kind: str, widths: tuple[int, ...]) -> int:
    """Returns the number of kernel weights of a network."""
    if kind == "mlp":
        sizes = (784, *widths, CLASSES)
        return sum(a * b for a, b in itertools.pairwise(sizes))
    first, second, dense = widths
    convolutions = 16 * first + 9 * first * second
    return convolutions + 16 * second * dense + dense * CLASSES


def small_widths(kind: str, sparsity: float) -> tuple[int, ...]:
    """Returns the widths of a dense net with the weights that pruning keeps.

    All hidden layers shrink by one factor, but the last one never below the
    number of classes: a bottleneck there would weaken the control.
    """
    goal = (1 - sparsity) * count_kernels(kind, WIDTHS[kind])
    *first, last = WIDTHS[kind]
    choices = {
        (
            *(max(1, round(n * i / 2000)) for n in first),
            max(CLASSES, round(last * i / 2000)),
        )
        for i in range(1, 2000)
    }
    return min(
        sorted(choices), key=lambda w: abs(count_kernels(kind, w) - goal)
    )


def measure_accuracy(model: keras.Model, data: Arrays) -> float:
    """Returns the share of samples whose largest output is their class."""
    outputs = model.predict(data[0], batch_size=1000, verbose=0)
    return float(np.mean(outputs.argmax(axis=1) == data[1]))


def kept_weights(model: keras.Model) -> list[int]:
    """Returns the non-zero weights of each kernel."""
    kernels = [np.asarray(w) for w in model.get_weights() if w.ndim > 1]
    return [int(np.count_nonzero(kernel)) for kernel in kernels]


def _compile(model: keras.Model, optimizer: str) -> None:
    rate = LEARNING_RATES[optimizer]
    model.compile(
        optimizer=(
            keras.optimizers.Adam(rate)
            if optimizer == "adam"
            else keras.optimizers.SGD(rate, momentum=MOMENTUM)
        ),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.optimizer.build(model.trainable_variables)


def _restore(model: keras.Model, weights: list[np.ndarray]) -> None:
    """Sets a trained model to initial values, without masked weights."""
    rate = float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
    for variable in model.optimizer.variables:
        variable.assign(keras.ops.zeros(variable.shape, variable.dtype))
    model.optimizer.learning_rate = rate
    model.set_weights(weights)
    store = MaskStore.of(model)
    if store is not None:
        store.assign(
            {key: np.ones_like(mask) for key, mask in store.masks().items()}
        )
