"""The outcome of `search.weedout`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_netopt.report import Report
from keras_netopt.tables import render

if TYPE_CHECKING:
    from keras_netopt.search.subnetworks.weedout_comparison import (
        WeedoutComparison,
    )

FINDING = (
    "Whether the lower loss helps after training is another question: "
    "`result.compare(fit)` trains both."
)


@dataclass(frozen=True, eq=False)
class Subnetwork(Report):
    """A sparse network that was cut out of another.

    Args:
        model: The network, compiled as its parent, not trained.
        config: What it keeps, by layer or weight: the numbers of the units,
            or masks.
        loss: Its loss on the samples of the search.
        node_sparsity: Share of the units that it lacks.
        weight_sparsity: Share of the weights of all kernels that it lacks.
    """

    model: keras.Model
    config: Mapping[str, np.ndarray]
    loss: float
    node_sparsity: float
    weight_sparsity: float

    def __str__(self) -> str:
        return (
            f"loss {self.loss:.4f}, node sparsity {self.node_sparsity:.1%}, "
            f"weight sparsity {self.weight_sparsity:.1%}"
        )


@dataclass(frozen=True, eq=False)
class WeedoutResult(Report):
    """The network that Weedout found, and its random controls.

    Args:
        found: The configuration of the lowest loss.
        losses: The losses of all evaluated configurations, in order.
        random: The random configurations of the control arm.
        parent: A copy of the searched network.
        parent_loss: Its loss on the samples of the search.
        sizes: Units or weights of each searched layer or weight.
        skipped: Layers or weights that stay whole, each with the reason.
        seconds: Seconds that the evaluations took.
        macs: Multiply-accumulate operations of the evaluations.
        search: Repeats the search. Defaults to `None`.
    """

    found: Subnetwork
    losses: tuple[float, ...]
    random: tuple[Subnetwork, ...]
    parent: keras.Model
    parent_loss: float
    sizes: Mapping[str, int]
    skipped: tuple[tuple[str, str], ...]
    seconds: float
    macs: int
    search: Any = field(default=None, repr=False)

    @property
    def model(self) -> keras.Model:
        """The found network: train it with `fit`."""
        return self.found.model

    @property
    def config(self) -> Mapping[str, np.ndarray]:
        """What the found network keeps, by layer or weight."""
        return self.found.config

    @property
    def loss(self) -> float:
        """The loss of the found network before training."""
        return self.found.loss

    @property
    def controls(self) -> tuple[keras.Model, ...]:
        """The networks of the random configurations."""
        return tuple(one.model for one in self.random)

    def compare(
        self,
        fit: Callable[[keras.Model], Any],
        *,
        seeds: int | Sequence[int] = 5,
        monitor: str | None = None,
        target_loss: float | None = None,
        reinitialize: bool = False,
        verbose: int = 0,
    ) -> "WeedoutComparison":
        """Trains the parent, found and random networks in the same way.

        Each seed repeats the search from the same parent weights, with other
        candidates and controls, and trains all networks with the same
        initial random state, so with the same batches. `model` and `controls`
        of this result are not trained. Global random states are restored, but
        for TensorFlow's own generator, which keeps the last seed.

        Args:
            fit: A function that trains a model and returns the `History` of
                its `fit`.
            seeds: Number of seeds, at least 1, or the seeds themselves.
                Defaults to `5`.
            monitor: Key of the history to compare. Defaults to `None`:
                "val_accuracy" if it is there, else "val_loss", else "loss".
            target_loss: Training loss for the steps to it. Defaults to
                `None`: the mean of the controls in the last epoch.
            reinitialize: Whether each seed starts from new initial values of
                the parent instead of its own weights, so that the interval
                covers other networks, too. Defaults to `False`.
            verbose: 1 prints a line per training. Defaults to `0`.

        Returns:
            A printable report: initial loss, last value of the metric, steps
            to the loss, and the paired difference with its 95 % interval.

        Raises:
            TypeError: If `fit` is no function or returns no history.
            ValueError: If an argument is out of range, or `monitor` is not in
                the history.
        """
        from keras_netopt.search.subnetworks.compare_subnetworks import (
            compare_subnetworks,
        )

        if self.search is None:
            raise ValueError(
                "A result must come from `search.weedout` to be compared. "
                "Received: search=None"
            )
        return compare_subnetworks(
            self.search,
            fit,
            seeds=seeds,
            monitor=monitor,
            target_loss=target_loss,
            reinitialize=reinitialize,
            verbose=verbose,
        )

    def __str__(self) -> str:
        rows = [
            [name, size, _count(self.config[name])]
            for name, size in self.sizes.items()
        ]
        arms = [
            ["parent", f"{self.parent_loss:.4f}", "-", "-"],
            _row("found", self.found),
            *(_row(f"random {i}", one) for i, one in enumerate(self.random)),
        ]
        headers = ["network", "loss before training", "nodes", "weights"]
        lines = [
            render(["searched", "of", "kept"], rows),
            render(headers, arms, title="share removed"),
            f"{len(self.losses)} evaluations, {self.macs / 1e9:.3g} G MACs, "
            f"{self.seconds:.1f} s. {FINDING}",
        ]
        if self.skipped:
            listed = ", ".join(f"{k} ({why})" for k, why in self.skipped)
            lines.append(f"whole: {listed}")
        return "\n".join(lines)


def _row(name: str, one: Subnetwork) -> list[Any]:
    return [
        name,
        f"{one.loss:.4f}",
        f"{one.node_sparsity:.1%}",
        f"{one.weight_sparsity:.1%}",
    ]


def _count(config: np.ndarray) -> int:
    """Counts what is kept: units by their numbers, weights by a mask."""
    array = np.asarray(config)
    return int(array.sum()) if array.dtype == bool else len(array)
