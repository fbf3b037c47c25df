"""Transfer between variants of the cart pole, by progressive networks.

Run with `KERAS_BACKEND=jax python -m benchmarks.progressive.cart_pole`. A
policy and its baseline learn CartPole-v1; then every arm learns every variant
with the same budget and seeds of environments. Columns share the initial
weights of the hidden layers of the policy with scratch, not the others.
Compiled steps are kept in a temporary folder, which halves the time. `--seeds
0 1` measures these seeds only, `--fresh` measures all again.
"""

import argparse
import dataclasses
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from keras import layers

from benchmarks.records import Records
from keras_netopt import cost, progressive, rl

SEEDS = 5


@dataclasses.dataclass(frozen=True)
class Family:
    """Tasks of one kind; the first one is learned first.

    Args:
        name: Name of the results.
        makers: Functions that make the environments, by name.
        observations: Length of an observation.
        actions: Number of actions.
        settings: Width, learning rate and numbers of environment steps.
    """

    name: str
    makers: Mapping[str, Callable[[], Any]]
    observations: int
    actions: int
    settings: Mapping[str, Any]


FAMILY = Family(
    name="progressive_cart_pole",
    makers=rl.cart_pole_variants(),
    observations=4,
    actions=2,
    settings={
        "width": 64,
        "learning_rate": 1e-3,
        "first_steps": 80_000,
        "steps": 16_384,
        "steps_per_epoch": 1024,
    },
)
Models = tuple[keras.Model, keras.Model]


def main(family: Family = FAMILY, seeds: int = SEEDS) -> None:
    """Measures what is missing."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--seeds", type=int, nargs="*", default=range(seeds))
    options = parser.parse_args()
    use_one_thread()
    records = Records(family.name, family.settings, fresh=options.fresh)
    first, *variants = family.makers
    for seed in options.seeds:
        runs = Runs(family, seed)
        trained: Models | None = None
        for variant in variants:
            for arm in ARMS:
                if records.find(seed=seed, variant=variant, arm=arm):
                    continue
                if trained is None:
                    trained, row = runs.learn_first(first)
                    if not records.find(seed=seed, arm="first"):
                        records.add(row)
                        print(seed, "first", row["greedy"], flush=True)
                row = runs.measure(variant, arm, trained)
                records.add(row)
                returns = [one for one in row["curve"] if one is not None]
                print(seed, variant, arm, np.mean(returns), flush=True)


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


class Runs:
    """Trainings of one seed.

    Args:
        family: The tasks.
        seed: Seed of new weights and of the environments.
    """

    def __init__(self, family: Family, seed: int) -> None:
        self.family = family
        self.settings = family.settings
        self.seed = seed

    def build(self, outputs: int, factor: int = 1) -> keras.Model:
        """Returns a compiled policy, or a baseline with one output."""
        units = factor * self.settings["width"]
        inputs = keras.Input((self.family.observations,))
        hidden = layers.Dense(units, "tanh", name="hidden1")(inputs)
        hidden = layers.Dense(units, "tanh", name="hidden2")(hidden)
        model = keras.Model(inputs, layers.Dense(outputs, name="head")(hidden))
        return self.compile(model)

    def build_both(self, offset: int, factor: int = 1) -> Models:
        """Returns a new policy and a new baseline."""
        keras.utils.set_random_seed(offset + self.seed)
        return self.build(self.family.actions, factor), self.build(1, factor)

    def compile(self, model: keras.Model) -> keras.Model:
        """Returns the model with a new optimizer."""
        rate = self.settings["learning_rate"]
        model.compile(keras.optimizers.Adam(rate))
        return model

    def copy(self, trained: Models) -> Models:
        """Returns copies with new optimizers."""
        copies = self.build_both(0)
        for old, new in zip(trained, copies, strict=True):
            new.set_weights(old.get_weights())
        return copies

    def learn(
        self, models: Models, task: str, seed: int, steps: int, **arguments: Any
    ) -> Any:
        """Trains a policy with its baseline; returns agent and logs."""
        agent = rl.PolicyGradient(
            models[0],
            self.family.makers[task],
            value_model=models[1],
            seed=seed,
        )
        history = agent.learn(
            steps,
            steps_per_epoch=self.settings["steps_per_epoch"],
            verbose=0,
            **arguments,
        )
        return agent, history.history

    def learn_first(self, task: str) -> tuple[Models, dict[str, Any]]:
        """Returns policy and baseline of the first task, at their best."""
        models = self.build_both(0)
        steps = self.settings["first_steps"]
        best = keras.callbacks.EarlyStopping(
            "episode_return",
            mode="max",
            patience=steps,
            restore_best_weights=True,
        )
        agent, logs = self.learn(
            models, task, self.seed, steps, callbacks=[best]
        )
        row = {"seed": self.seed, "variant": task, "arm": "first"}
        row["curve"] = round_all(logs["episode_return"])
        row["greedy"] = agent.evaluate(20)
        agent.close()
        return models, row

    def measure(self, task: str, arm: str, trained: Models) -> dict[str, Any]:
        """Trains one arm on one task."""
        models = ARMS[arm](self, trained)
        network = progressive.find_network(models[0])
        # In fine-tuning one model answers both tasks.
        first = models[0] if network is None else network[network.tasks[0]]
        probe = np.random.default_rng(self.seed).standard_normal(
            (64, self.family.observations)
        )
        probe = probe.astype("float32")
        before = first.predict_on_batch(probe)
        agent, logs = self.learn(
            models, task, 1000 + self.seed, self.settings["steps"]
        )
        row = {
            "seed": self.seed,
            "variant": task,
            "arm": arm,
            "parameters": cost.summarize(models[0]).params,
            "curve": round_all(logs["episode_return"]),
            "steps": [int(step) for step in logs["environment_steps"]],
        }
        if arm in KEEPS:
            after = first.predict_on_batch(probe)
            row["first_task_change"] = float(np.abs(after - before).max())
            maker = next(iter(self.family.makers.values()))
            row["first_task_return"] = return_of(first, maker)
        agent.close()
        return row


def columns(
    alpha: float, *, is_random: bool = False
) -> Callable[[Runs, Models], Models]:
    """New columns on the trained networks, or on random ones."""

    def make(runs: Runs, trained: Models) -> Models:
        first = runs.build_both(200) if is_random else runs.copy(trained)
        keras.utils.set_random_seed(100 + runs.seed)
        return tuple(
            progressive.next_task(model, alpha_init=alpha) for model in first
        )

    return make


def head_only(runs: Runs, trained: Models) -> Models:
    """New heads on the trained networks, which are frozen."""
    made = runs.build_both(100)
    for old, new in zip(trained, made, strict=True):
        for name in ("hidden1", "hidden2"):
            new.get_layer(name).set_weights(old.get_layer(name).get_weights())
            new.get_layer(name).trainable = False
        runs.compile(new)
    return made


ARMS: dict[str, Callable[[Runs, Models], Models]] = {
    "scratch": lambda runs, trained: runs.build_both(100),
    "progressive": columns(1.0),
    "progressive_03": columns(0.3),
    "random": columns(1.0, is_random=True),
    "wide": lambda runs, trained: runs.build_both(100, factor=2),
    "fine_tune": lambda runs, trained: runs.copy(trained),
    "head_only": head_only,
}
# Arms in which a model of the first task is left.
KEEPS = ("progressive", "progressive_03", "fine_tune")


def return_of(policy: keras.Model, maker: Callable[[], Any]) -> float:
    """Returns the mean return of 16 greedy episodes."""
    environments = [maker() for _ in range(16)]
    total: np.ndarray = np.zeros(16)
    done: np.ndarray = np.zeros(16, bool)
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
