"""Transfer between variants of the cart pole, by progressive networks.

Run with `KERAS_BACKEND=jax python -m benchmarks.progressive.cart_pole`. A
policy and its baseline learn CartPole-v1; then every arm learns every variant
with the same budget, seeds of environments and initial weights of new layers.
Compiled steps are kept in a temporary folder, which halves the time. `--seeds
0 1` measures these seeds only, `--fresh` measures all again.
"""

import argparse
import tempfile
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers

from benchmarks.records import Records
from keras_netopt import cost, progressive, rl

NAME = "progressive_cart_pole"
SEEDS = 5
VARIANTS = tuple(name for name in rl.cart_pole_variants() if name != "standard")
SETTINGS: dict[str, Any] = {
    "width": 64,
    "learning_rate": 1e-3,
    "first_steps": 80_000,
    "steps": 16_384,
    "steps_per_epoch": 1024,
}
Models = tuple[keras.Model, keras.Model]


def main() -> None:
    """Measures what is missing."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--seeds", type=int, nargs="*", default=range(SEEDS))
    options = parser.parse_args()
    use_one_thread()
    records = Records(NAME, SETTINGS, fresh=options.fresh)
    for seed in options.seeds:
        trained: Models | None = None
        for variant in VARIANTS:
            for arm in ARMS:
                if records.find(seed=seed, variant=variant, arm=arm):
                    continue
                trained = trained or learn_first(records, seed)
                row = measure(seed, variant, arm, trained)
                records.add(row)
                print(seed, variant, arm, np.mean(row["curve"]), flush=True)


def use_one_thread() -> None:
    """Keeps the backend to one thread and JAX's compiled steps on disk."""
    if keras.backend.backend() == "jax":
        import jax

        folder = f"{tempfile.gettempdir()}/netopt_cart_pole_jax"
        for name, value in (
            ("compilation_cache_dir", folder),
            ("persistent_cache_min_compile_time_secs", 0),
            ("persistent_cache_min_entry_size_bytes", -1),
        ):
            jax.config.update(f"jax_{name}", value)
    elif keras.backend.backend() == "torch":
        import torch

        torch.set_num_threads(1)
    else:
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)


def build(outputs: int, width: int | None = None) -> keras.Model:
    """Returns a compiled policy (2 outputs) or baseline (1 output)."""
    units = width or SETTINGS["width"]
    inputs = keras.Input((4,))
    hidden = layers.Dense(units, "tanh", name="hidden1")(inputs)
    hidden = layers.Dense(units, "tanh", name="hidden2")(hidden)
    model = keras.Model(inputs, layers.Dense(outputs, name="head")(hidden))
    return compile_model(model)


def compile_model(model: keras.Model) -> keras.Model:
    """Returns the model with a new optimizer."""
    model.compile(keras.optimizers.Adam(SETTINGS["learning_rate"]))
    return model


def learn(
    models: Models, variant: str, seed: int, steps: int, **arguments: Any
) -> Any:
    """Trains a policy with its baseline; returns agent and logs."""
    agent = rl.PolicyGradient(
        models[0],
        rl.cart_pole_variants()[variant],
        value_model=models[1],
        seed=seed,
    )
    history = agent.learn(
        steps,
        steps_per_epoch=SETTINGS["steps_per_epoch"],
        verbose=0,
        **arguments,
    )
    return agent, history.history


def learn_first(records: Records, seed: int) -> Models:
    """Returns policy and baseline of CartPole-v1, at their best epoch."""
    keras.utils.set_random_seed(seed)
    models = build(2), build(1)
    best = keras.callbacks.EarlyStopping(
        "episode_return",
        mode="max",
        patience=SETTINGS["first_steps"],
        restore_best_weights=True,
    )
    agent, logs = learn(
        models, "standard", seed, SETTINGS["first_steps"], callbacks=[best]
    )
    if not records.find(seed=seed, arm="first"):
        row = {"seed": seed, "variant": "standard", "arm": "first"}
        row["curve"] = round_all(logs["episode_return"])
        row["greedy"] = agent.evaluate(20)
        records.add(row)
        print(seed, "first", row["greedy"], flush=True)
    return models


def copy(model: keras.Model) -> keras.Model:
    """Returns a copy with a new optimizer."""
    copied = build(model.output_shape[-1])
    copied.set_weights(model.get_weights())
    return copied


def next_tasks(first: Models, seed: int, alpha: float) -> Models:
    """Returns new columns on two finished ones."""
    keras.utils.set_random_seed(100 + seed)
    return tuple(  # type: ignore[return-value]
        progressive.next_task(model, alpha_init=alpha) for model in first
    )


def progressive_arm(alpha: float) -> Callable[[Models, int], Models]:
    """Columns on the trained ones."""
    return lambda trained, seed: next_tasks(
        (copy(trained[0]), copy(trained[1])), seed, alpha
    )


def random_column(trained: Models, seed: int) -> Models:
    """Columns on frozen ones with random weights."""
    keras.utils.set_random_seed(200 + seed)
    return next_tasks((build(2), build(1)), seed, 1.0)


def from_scratch(factor: int = 1) -> Callable[[Models, int], Models]:
    """New networks of a width."""

    def make(trained: Models, seed: int) -> Models:
        keras.utils.set_random_seed(100 + seed)
        width = factor * SETTINGS["width"]
        return build(2, width), build(1, width)

    return make


def fine_tune(trained: Models, seed: int) -> Models:
    """The trained networks, trained on."""
    return copy(trained[0]), copy(trained[1])


def head_only(trained: Models, seed: int) -> Models:
    """New heads on the trained networks, which are frozen."""
    keras.utils.set_random_seed(100 + seed)
    made = []
    for model in trained:
        fresh = build(model.output_shape[-1])
        for name in ("hidden1", "hidden2"):
            weights = model.get_layer(name).get_weights()
            fresh.get_layer(name).set_weights(weights)
            fresh.get_layer(name).trainable = False
        made.append(compile_model(fresh))
    return made[0], made[1]


ARMS: dict[str, Callable[[Models, int], Models]] = {
    "scratch": from_scratch(),
    "progressive": progressive_arm(1.0),
    "progressive_03": progressive_arm(0.3),
    "random": random_column,
    "wide": from_scratch(2),
    "fine_tune": fine_tune,
    "head_only": head_only,
}


# Arms in which a model of the first task is left.
KEEPS = ("progressive", "progressive_03", "fine_tune")


def measure(seed: int, variant: str, arm: str, trained: Models) -> Any:
    """Trains one arm on one variant."""
    models = ARMS[arm](trained, seed)
    network = progressive.find_network(models[0])
    # In fine-tuning one model answers both tasks.
    first = models[0] if network is None else network[network.tasks[0]]
    probe = np.random.default_rng(seed).standard_normal((64, 4))
    probe = probe.astype("float32")
    before = first.predict_on_batch(probe)
    agent, logs = learn(models, variant, 1000 + seed, SETTINGS["steps"])
    row = {
        "seed": seed,
        "variant": variant,
        "arm": arm,
        "parameters": cost.summarize(models[0]).params,
        "curve": round_all(logs["episode_return"]),
        "steps": [int(step) for step in logs["environment_steps"]],
    }
    if arm in KEEPS:
        after = first.predict_on_batch(probe)
        row["first_task_change"] = float(np.abs(after - before).max())
        row["first_task_return"] = return_of(first)
    agent.close()
    return row


def return_of(policy: keras.Model) -> float:
    """Returns the mean return of 16 greedy episodes of CartPole-v1."""
    maker = rl.cart_pole_variants()["standard"]
    environments = [maker() for _ in range(16)]
    total, done = np.zeros(16), np.zeros(16, bool)
    seen = np.stack(
        [one.reset(seed=i)[0] for i, one in enumerate(environments)]
    )
    while not done.all():
        actions = policy.predict_on_batch(seen).argmax(-1)
        for place in np.flatnonzero(~done):
            found = environments[place].step(int(actions[place]))
            seen[place], done[place] = found[0], found[2] or found[3]
            total[place] += found[1]
    return float(total.mean())


def round_all(values: list[float]) -> list[float | None]:
    """Rounds for the file; NaN becomes `None`."""
    return [
        None if np.isnan(value) else round(float(value), 2) for value in values
    ]


if __name__ == "__main__":
    main()
