"""Trains a found architecture beside random ones of equal cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_netopt import tables
from keras_netopt.checks import check_integer, check_number
from keras_netopt.graph.check_model import check_model
from keras_netopt.paired_difference import (
    PairedDifference,
    paired_difference,
)
from keras_netopt.report import Report
from keras_netopt.search.supernet.architecture import (
    architecture_labels,
    read_architecture,
)
from keras_netopt.search.supernet.cost import (
    affordable_draws,
    architecture_macs,
)
from keras_netopt.search.supernet.extract import extract
from keras_netopt.search.supernet.random_controls import match_cost
from keras_netopt.search.supernet.search_arguments import check_monitor
from keras_netopt.search.supernet.searchable_layer import find_decisions
from keras_netopt.search.supernet.subnet_ranker import choose_metric
from keras_netopt.search.supernet.supernet_search import enabled_options
from keras_netopt.training import randomness
from keras_netopt.training.compiled_clone import compile_like
from keras_netopt.training.present_flags import compile_for_flags

Architecture = Mapping[str, int]


@dataclass(frozen=True)
class ArchitectureComparison(Report):
    """Found and random architectures, trained in the same way.

    Example:

    >>> comparison = ArchitectureComparison(
    ...     "accuracy", (0.82, 0.81, 0.83), (0.8, 0.8, 0.79), 5e5,
    ...     (5e5, 4.9e5, 5.1e5), ({"edge": "conv5"},) * 3)
    >>> print(comparison.difference())
    +0.0233 [-0.0146, +0.0613]

    Args:
        monitor: The metric.
        found: Its values for the found architecture, one per seed.
        random: Its values for random architectures, one per seed.
        macs: MACs of one sample of the found architecture.
        random_macs: MACs of the random ones.
        choices: The options of the random ones by decision.
    """

    monitor: str
    found: tuple[float, ...]
    random: tuple[float, ...]
    macs: float
    random_macs: tuple[float, ...]
    choices: tuple[Mapping[str, Any], ...]

    def difference(self) -> PairedDifference:
        """Returns found less random, paired by seed, with its 95 % interval."""
        return paired_difference("found", self.found, self.random)

    def __str__(self) -> str:
        rows = [
            [name, f"{np.mean(v):.4f}", f"{np.std(v, ddof=1):.4f}", macs]
            for name, v, macs in (
                ("found", self.found, int(self.macs)),
                ("random", self.random, int(np.mean(self.random_macs))),
            )
        ]
        headers = ["architecture", self.monitor, "sd", "MACs"]
        return (
            f"{tables.render(headers, rows)}\nfound less random, paired by "
            f"{len(self.found)} seeds, 95 % interval: {self.difference()}"
        )


def compare_architectures(
    model: keras.Model,
    x: Any,
    y: Any = None,
    *,
    architecture: Architecture | None = None,
    validation_data: Any,
    n_random: int = 3,
    epochs: int = 1,
    batch_size: int = 32,
    tolerance: float = 0.05,
    monitor: str = "auto",
    seed: int = 0,
    verbose: int = 0,
) -> ArchitectureComparison:
    """Trains an architecture and random ones of equal MACs from scratch.

    Networks are extracted from the supernet, and start with new weights. A
    search is worth its cost if the found architecture is better than random
    ones of the same space and cost after the same training. Each of `n_random`
    seeds trains the found architecture and one random architecture, with the
    same initial random state, data and recipe.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import keras_netopt as netopt
    >>> def dense(name, act):
    ...     return keras.layers.Dense(4, activation=act, name=name)
    >>> edges = [
    ...     netopt.layers.Choice([dense("a", "relu"), dense("b", "tanh")],
    ...                          name=f"edge{i}") for i in range(2)]
    >>> model = keras.Sequential([keras.Input((4,)), *edges])
    >>> model.compile("sgd", "mse")
    >>> x, y = np.ones((32, 4)), np.zeros((32, 4))
    >>> comparison = netopt.search.compare_architectures(
    ...     model, x, y, architecture={"edge0": 0, "edge1": 1},
    ...     validation_data=(x, y))
    >>> len(comparison.random)
    3

    Args:
        model: The compiled supernet, which does not change. Its optimizer's
            settings train all networks.
        x: Training inputs, as in `fit`.
        y: Training targets, as in `fit`. Defaults to `None`.
        architecture: Index of the option by decision. Defaults to `None`: the
            one that the model prefers now.
        validation_data: Data for `evaluate`, as in `fit`.
        n_random: Number of random architectures and of seeds, at least 3.
            Defaults to `3`.
        epochs: Epochs of each training, at least 1. Defaults to `1`.
        batch_size: Samples per step. Defaults to `32`.
        tolerance: Largest relative difference in MACs, at least 0. Defaults
            to `0.05`.
        monitor: The compared metric, or "auto": an accuracy if there is one,
            else the loss. Defaults to `"auto"`.
        seed: Seed of the random architectures and the first training.
            Defaults to `0`.
        verbose: As in `fit`. Defaults to `0`.

    Returns:
        A printable report: means, standard deviations, and the paired
        difference with its 95 % interval.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or there is no random
            architecture of equal cost.
    """
    check_model(model)
    check_integer(n_random, "n_random", minimum=3)
    check_integer(epochs, "epochs", minimum=1)
    check_integer(batch_size, "batch_size", minimum=1)
    check_number(tolerance, "tolerance")
    check_integer(seed, "seed")
    found = {**read_architecture(model), **(architecture or {})}

    def macs(one: Architecture) -> float:
        return float(architecture_macs(model, one))

    options = enabled_options(find_decisions(model), with_none=False)
    drawn = match_cost(
        options,
        found,
        macs,
        n_random,
        tolerance=tolerance,
        seed=seed,
        draws=affordable_draws(model),
    )
    if not drawn:
        raise ValueError(
            "Argument `tolerance` must allow a random architecture beside the "
            f"found one, which has {macs(found):,.0f} MACs. "
            f"Received: tolerance={tolerance!r}"
        )
    # Data and metric are tried before anything is trained.
    untrained = evaluate(extract(model, found), validation_data)
    name = choose_metric(untrained) if monitor == "auto" else monitor
    check_monitor(name, untrained)
    # A small space has fewer: each is trained with several seeds.
    randoms = [drawn[i % len(drawn)] for i in range(n_random)]

    def train(one: Architecture, number: int) -> dict[str, float]:
        randomness.set_seed(seed + number)
        network = keras.models.clone_model(extract(model, one))
        compile_like(network, model)
        network.fit(
            x,
            y,
            batch_size=None if y is None else batch_size,
            epochs=epochs,
            verbose=verbose,
        )
        return evaluate(network, validation_data)

    pairs = [(train(found, i), train(one, i)) for i, one in enumerate(randoms)]
    return ArchitectureComparison(
        monitor=name,
        found=tuple(one[name] for one, _ in pairs),
        random=tuple(one[name] for _, one in pairs),
        macs=macs(found),
        random_macs=tuple(map(macs, randoms)),
        choices=tuple(architecture_labels(model, one) for one in randoms),
    )


def evaluate(network: keras.Model, data: Any) -> dict[str, float]:
    """Evaluates a model on a tuple of arrays or on batches."""
    given = data if isinstance(data, tuple) else (data,)
    compile_for_flags(network, "test_function")
    return dict(network.evaluate(*given, verbose=0, return_dict=True))
