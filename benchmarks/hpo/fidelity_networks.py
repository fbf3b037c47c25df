"""Trains the table of dense networks whose learning curves are all known.

Run with `KERAS_BACKEND=jax python -m benchmarks.hpo.fidelity_networks`; the
file it writes is in the repository. Each network is trained for all epochs on
a part of the sample of Fashion-MNIST in the package, averaged to 7 x 7 pixels.
Networks that differ in numbers only are trained together: they have the same
initial weights, batches and dropout draws.
"""

import functools
import itertools
import time
from pathlib import Path
from typing import Any

import numpy as np

from keras_netopt.datasets import fashion_mnist_sample

FILE = Path(__file__).parent / "fidelity_networks.npz"
EPOCHS, IMAGES, HELD_OUT = 27, 1500, 3000
# Those of the shapes of arrays, and those of a network in such a group.
SHAPES: dict[str, list[Any]] = {
    "layers": [1, 2],
    "units": [8, 16, 32, 64],
    "batch": [16, 32, 64],
}
NUMBERS: dict[str, list[Any]] = {
    "rate": [0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0],
    "optimizer": ["adam", "sgd"],
    "schedule": ["constant", "cosine"],
    "dropout": [0.0, 0.25, 0.5],
    "activation": ["relu", "tanh"],
}
AXES = {**SHAPES, **NUMBERS}


def load() -> np.ndarray:
    """Returns the wrong images after each epoch, shape `(*axes, epochs)`."""
    with np.load(FILE) as arrays:
        return arrays["wrong"]


def main() -> None:
    """Trains all networks and writes the table."""
    begun = time.process_time()
    sizes = [len(axis) for axis in AXES.values()]
    wrong = np.zeros((*sizes, EPOCHS), np.uint16)
    for place in itertools.product(*(range(n) for n in sizes[: len(SHAPES)])):
        shape = [
            axis[i] for axis, i in zip(SHAPES.values(), place, strict=True)
        ]
        wrong[place] = train(*shape).reshape(wrong[place].shape)
        spent = time.process_time() - begun
        print(shape, int(wrong[place].min()), f"{spent:.0f} s", flush=True)
    np.savez_compressed(FILE, wrong=wrong)


def train(layers: int, units: int, batch: int) -> np.ndarray:
    """Trains a group of networks, shape `(networks, epochs)`."""
    import jax
    import jax.numpy as jnp

    x, y, x_held, y_held = _read_images()
    grid = list(itertools.product(*NUMBERS.values()))
    numbers = {
        name: jnp.array([_as_number(name, row[i]) for row in grid])
        for i, name in enumerate(NUMBERS)
    }
    rng = np.random.default_rng(0)
    widths = [x.shape[1], *[units] * layers, 10]
    one = [
        rng.normal(size=(a, b)) * (2.0 / (a + b)) ** 0.5
        for a, b in itertools.pairwise(widths)
    ]
    one += [np.zeros(b) for b in widths[1:]]
    weights = [jnp.array(np.stack([w] * len(grid)), "float32") for w in one]
    state = (weights, _zeros(weights), _zeros(weights), 0)
    steps = IMAGES // batch
    found = []
    for _ in range(EPOCHS):
        order = rng.permutation(IMAGES)[: steps * batch].reshape(steps, batch)
        draws = rng.random((steps, layers, batch, units), np.float32)
        state = _run_epoch(
            state, numbers, x[order], y[order], draws, steps * EPOCHS
        )
        found.append(_count_wrong(state[0], numbers, x_held, y_held))
    jax.clear_caches()
    return np.stack(found, axis=-1)


def _zeros(weights: list[Any]) -> list[Any]:
    return [0.0 * w for w in weights]


def _as_number(name: str, value: Any) -> float:
    return (
        float(NUMBERS[name].index(value)) if isinstance(value, str) else value
    )


def _read_images() -> tuple[np.ndarray, ...]:
    (x, y), _ = fashion_mnist_sample()
    x = x.reshape(len(x), 7, 4, 7, 4).mean(axis=(2, 4)).reshape(len(x), -1)
    x = ((x - x.mean()) / x.std()).astype("float32")
    order = np.random.default_rng(1).permutation(len(x))
    first, held = order[:IMAGES], order[IMAGES : IMAGES + HELD_OUT]
    return x[first], y[first].astype(int), x[held], y[held].astype(int)


def _logits(weights: Any, number: Any, x: Any, draws: Any) -> Any:
    """The network of one set of numbers; without draws no dropout."""
    import jax.numpy as jnp

    layers = len(weights) // 2 - 1
    for i in range(layers):
        x = x @ weights[i] + weights[layers + 1 + i]
        x = jnp.where(number["activation"] > 0.0, jnp.tanh(x), x * (x > 0.0))
        if draws is not None:
            kept = draws[i] >= number["dropout"]
            x = x * kept / (1.0 - number["dropout"])
    return x @ weights[layers] + weights[-1]


@functools.cache
def _compiled() -> tuple[Any, Any]:
    """Returns one epoch of training, and the count of wrong images."""
    import jax
    import jax.numpy as jnp

    def loss(weights: Any, number: Any, x: Any, y: Any, draws: Any) -> Any:
        logs = jax.nn.log_softmax(_logits(weights, number, x, draws))
        return -jnp.take_along_axis(logs, y[:, None], axis=1).mean()

    gradients = jax.vmap(jax.grad(loss), (0, 0, None, None, None))

    @functools.partial(jax.jit, static_argnames="most")
    def epoch(
        state: Any, numbers: Any, xs: Any, ys: Any, draws: Any, most: int
    ) -> Any:
        def step(state: Any, data: Any) -> Any:
            weights, first, second, count = state
            found = gradients(weights, numbers, *data)
            cosine = 0.5 * (1.0 + jnp.cos(jnp.pi * count / most))
            rates = jnp.where(numbers["schedule"] > 0.0, cosine, 1.0)
            rates = rates * numbers["rate"]
            count = count + 1
            moved = [
                _update(*arrays, rates, numbers["optimizer"] < 1.0, count)
                for arrays in zip(weights, first, second, found, strict=True)
            ]
            new = [list(arrays) for arrays in zip(*moved, strict=True)]
            return (*new, count), None

        return jax.lax.scan(step, state, (xs, ys, draws))[0]

    @jax.jit
    def wrong(weights: Any, numbers: Any, x: Any, y: Any) -> Any:
        logits = jax.vmap(_logits, (0, 0, None, None))(
            weights, numbers, x, None
        )
        return (logits.argmax(axis=-1) != y).sum(axis=-1)

    return epoch, wrong


def _update(
    weight: Any,
    first: Any,
    second: Any,
    gradient: Any,
    rates: Any,
    adam: Any,
    count: Any,
) -> tuple[Any, Any, Any]:
    """Adam, or SGD with a momentum of 0.9, by network."""
    import jax.numpy as jnp

    shape = (-1,) + (1,) * (weight.ndim - 1)
    rates, adam = rates.reshape(shape), adam.reshape(shape)
    first = 0.9 * first + jnp.where(adam, 0.1, 1.0) * gradient
    second = 0.999 * second + 0.001 * gradient**2
    scaled = jnp.sqrt(second / (1.0 - 0.999**count)) + 1e-7
    moved = jnp.where(adam, first / (1.0 - 0.9**count) / scaled, first)
    return weight - rates * moved, first, second


def _run_epoch(*arguments: Any) -> Any:
    return _compiled()[0](*arguments)


def _count_wrong(*arguments: Any) -> np.ndarray:
    return np.asarray(_compiled()[1](*arguments))


if __name__ == "__main__":
    main()
