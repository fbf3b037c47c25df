"""One small task for each domain: a space, its data and its training.

Every space has 12 to 24 networks, so that all of them are trained once and a
search with any seed can be replayed from the table.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.nas.fashion import load
from keras_netopt import search
from keras_netopt.search import spaces

ROOT = Path(__file__).parents[2]
LENGTH, STEPS = 32, 100
Measure = Callable[[keras.Model, int], float]


@dataclass(frozen=True)
class Task:
    """One domain.

    Args:
        title: What is learned, for the table.
        metric: What `measure` returns.
        space: The search space.
        measure: Trains a compiled model with a seed and returns what a
            search minimizes.
        limits: Limits of the cost that every network must keep.
    """

    title: str
    metric: str
    space: spaces.Space
    measure: Measure
    limits: tuple[search.Constraint, ...] = ()


@functools.cache
def task(name: str) -> Task:
    """Returns the task of a domain."""
    return _TASKS[name]()


def _language() -> Task:
    text = (ROOT / "LICENSE").read_text()
    alphabet = sorted(set(text))
    codes = np.array([alphabet.index(one) for one in text])
    kept = int(0.9 * len(codes))

    def windows(part: np.ndarray, starts: np.ndarray) -> Any:
        rows = part[starts[:, None] + np.arange(LENGTH + 1)]
        return rows[:, :-1], rows[:, 1:]

    def measure(model: keras.Model, seed: int) -> float:
        rng = np.random.default_rng(seed)
        starts = rng.integers(0, kept - LENGTH - 1, 32 * STEPS)
        x, y = windows(codes[:kept], starts)
        model.fit(x, y, batch_size=32, verbose=0)
        held = codes[kept:]
        x, y = windows(held, np.arange(0, len(held) - LENGTH - 1, LENGTH))
        return float(model.evaluate(x, y, verbose=0, return_dict=True)["loss"])

    space = spaces.transformer_encoder(
        (LENGTH,),
        len(alphabet),
        vocabulary=len(alphabet),
        causal=True,
        per_token=True,
        blocks=(1, 2),
        width=(16, 32),
        heads=(2, 4),
        mlp_ratio=2,
        learning_rate=5e-3,
    )
    title = "next character of a licence text, causal transformer"
    return Task(title, "loss per character, nats", space, measure)


def _image() -> Task:
    space = spaces.resnet(
        (14, 14, 1),
        10,
        stages=(1, 2),
        blocks=(1, 2),
        width=(4, 8),
        learning_rate=5e-3,
    )
    title = "Fashion-MNIST 14x14, residual networks"
    return Task(title, "error, %", space, _classify(*load(1_000, 1_000)[:2]))


def _edge() -> Task:
    space = spaces.mobilenet(
        (14, 14, 1),
        10,
        stages=2,
        blocks=1,
        width=(4, 8),
        expansion=3,
        stem_strides=1,
        learning_rate=5e-3,
    )
    return Task(
        "Fashion-MNIST 14x14, MobileNet blocks, limits of MACs and bytes",
        "error, %",
        space,
        _classify(*load(1_000, 1_000)[:2]),
        (search.MaxMACs(210_000), search.MaxBytes(8_800)),
    )


def _detection() -> Task:
    train, held, _ = load(1_000, 1_000)
    x, labels, boxes = _scatter(train, 0)
    x_held, held_labels, held_boxes = _scatter(held, 1)

    def measure(model: keras.Model, seed: int) -> float:
        model.fit(
            x,
            {"class": labels, "box": boxes},
            batch_size=64,
            epochs=3,
            verbose=0,
        )
        found = model.predict(x_held, batch_size=500, verbose=0)
        right = found["class"].argmax(1) == held_labels
        good = right & (_overlap(found["box"], held_boxes) >= 0.5)
        return 100.0 * float(1 - good.mean())

    space = spaces.mobilenet(
        (28, 28, 1),
        10,
        task="detection",
        stages=2,
        blocks=1,
        width=(4, 8),
        expansion=3,
        learning_rate=5e-3,
    )
    title = "one item of 10 to 18 pixels on a canvas of 28x28: class and box"
    return Task(title, "wrong class or IoU < 0.5, %", space, measure)


def _speech() -> Task:
    from benchmarks.edge.speech import load_speech

    (x, y), held, _ = load_speech()
    space = spaces.mobilenet(
        x.shape[1:],
        10,
        stages=2,
        blocks=1,
        width=(4, 8),
        expansion=3,
        learning_rate=5e-3,
    )
    title = "ten generated keywords, log-mel 48x20, MobileNet blocks"
    half = (held[0][:1_000], held[1][:1_000])
    measure = _classify((x[:1_000], y[:1_000]), half)
    return Task(title, "error, %", space, measure)


def _control() -> Task:
    space = spaces.mlp(
        (4,),
        2,
        layers=(1, 2),
        units=(2, 4, 8),
        activation=("relu", "tanh"),
    )
    title = "CartPole-v1, policy trained by the cross-entropy method"
    return Task(title, "500 - mean return", space, _train_policy)


_TASKS = {
    "LLM": _language,
    "image": _image,
    "detection": _detection,
    "RL": _control,
    "speech": _speech,
    "edge": _edge,
}
NAMES = tuple(_TASKS)


def _classify(train: Any, held: Any) -> Measure:
    def measure(model: keras.Model, seed: int) -> float:
        model.fit(*train, batch_size=64, epochs=3, verbose=0)
        logs = model.evaluate(
            *held, batch_size=500, verbose=0, return_dict=True
        )
        return 100.0 * float(1 - logs["accuracy"])

    return measure


def _scatter(split: Any, seed: int) -> tuple[np.ndarray, ...]:
    """Places each image, resized, at a random place of a dark canvas.

    Boxes are (top, left, height, width) as shares of the canvas.
    """
    rng = np.random.default_rng(seed)
    canvas = np.zeros((len(split.x), 28, 28, 1), "float32")
    boxes = np.empty((len(split.x), 4), "float32")
    for i, image in enumerate(split.x):
        size = int(rng.integers(10, 19))
        place = np.arange(size) * len(image) // size
        top, left = rng.integers(0, 28 - size + 1, 2)
        canvas[i, top : top + size, left : left + size] = image[place][:, place]
        boxes[i] = np.array([top, left, size, size]) / 28
    return canvas, np.asarray(split.y), boxes


def _overlap(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes, shape `(samples,)`."""
    low = np.maximum(first[:, :2], second[:, :2])
    ends = np.minimum(
        first[:, :2] + first[:, 2:], second[:, :2] + second[:, 2:]
    )
    both = np.maximum(ends - low, 0).prod(1)
    areas = first[:, 2:].prod(1) + second[:, 2:].prod(1)
    return both / (areas - both)


def _train_policy(model: keras.Model, seed: int) -> float:
    """Eight generations of 32 policies; returns 500 - the mean return.

    The environments are those of gymnasium, as many as there are policies.
    """
    import gymnasium

    rng = np.random.default_rng(seed)
    dense = [la for la in model.layers if isinstance(la, keras.layers.Dense)]
    act = _policy(model)
    shapes = [w.shape for layer in dense for w in layer.get_weights()]
    size = sum(int(np.prod(shape)) for shape in shapes)
    mean, spread = np.zeros(size), np.ones(size)
    envs = gymnasium.make_vec(
        "CartPole-v1", 32, vectorization_mode="vector_entry_point"
    )
    for generation in range(8):
        noise = rng.standard_normal((32, size))
        found = mean + spread * noise
        returns = _returns(envs, act, found, shapes, 100 * seed + generation)
        best = found[np.argsort(-returns, kind="stable")[:8]]
        mean, spread = best.mean(0), best.std(0) + 0.1
    same = np.repeat(mean[None], 32, 0)
    return 500.0 - float(
        _returns(envs, act, same, shapes, 10_000 + seed).mean()
    )


def _policy(model: keras.Model) -> Any:
    layers = [la for la in model.layers if isinstance(la, keras.layers.Dense)]
    kinds = [keras.activations.serialize(la.activation) for la in layers]
    functions = {
        "relu": lambda x: np.maximum(x, 0),
        "tanh": np.tanh,
        "linear": lambda x: x,
    }

    def act(weights: list[np.ndarray], states: np.ndarray) -> np.ndarray:
        """One policy for each state: weights have a leading axis."""
        x = states
        for i, kind in enumerate(kinds):
            kernel, bias = weights[2 * i], weights[2 * i + 1]
            x = functions[kind](np.einsum("ni,nij->nj", x, kernel) + bias)
        return x.argmax(1)

    return act


def _returns(
    envs: Any, act: Any, found: np.ndarray, shapes: Any, seed: int
) -> np.ndarray:
    parts = np.split(
        found, np.cumsum([int(np.prod(s)) for s in shapes])[:-1], axis=1
    )
    weights = [
        part.reshape(len(found), *shape)
        for part, shape in zip(parts, shapes, strict=True)
    ]
    states, _ = envs.reset(seed=seed)
    alive, returns = np.ones(len(found), bool), np.zeros(len(found))
    for _ in range(500):
        states, _, ended, _, _ = envs.step(act(weights, states))
        returns += alive
        alive &= ~ended
        if not alive.any():
            break
    return returns
