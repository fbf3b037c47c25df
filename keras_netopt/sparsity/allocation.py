"""Distributes a total sparsity over the layers."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_netopt.checks import check_choice, check_fraction
from keras_netopt.selectors import (
    Pattern,
    check_selector,
    deserialize_selector,
    select,
    serialize_selector,
)
from keras_netopt.serialization import export_class
from keras_netopt.sparsity.kernel_view import KernelView
from keras_netopt.sparsity.selection import WeightTarget

ALLOCATIONS = ("uniform", "erk", "er", "global")


def erdos_renyi(
    sizes: np.ndarray, erk_densities: np.ndarray, sparsity: float
) -> np.ndarray:
    """Distributes a sparsity with densities proportional to `erk_densities`.

    Layers that would need a density above one are kept dense, those with the
    largest erk_density first, and the rest is solved again. `sizes` are the
    numbers of weights of the layers.

    Reference:
        Mocanu et al. 2018, arXiv 1707.04780; Evci et al. 2020,
        arXiv 1911.11134: p_l is `erk_densities`, the set D is `dense`.
    """
    budget = (1.0 - sparsity) * sizes.sum()
    dense: np.ndarray = np.zeros(sizes.size, bool)
    while not dense.all():
        open_ = ~dense
        remaining = budget - sizes[dense].sum()
        epsilon = remaining / (erk_densities[open_] * sizes[open_]).sum()
        largest = erk_densities[open_].max()
        if epsilon * largest <= 1.0:
            return np.where(dense, 0.0, 1.0 - epsilon * erk_densities)
        dense |= erk_densities == largest
    return np.zeros(sizes.size)


def erk_density(view: KernelView, *, kernel: bool, power: float = 1.0) -> float:
    """Returns the sum of a weight's dimensions over their product.

    The window of a convolution counts with `kernel` ("erk"); without it, only
    the channels do ("er"). A stack has the dimensions of one matrix.
    """
    dims = view.shape if kernel else (view.run, view.fan_out)
    dims = view.matrix_shape if view.stack > 1 else dims or (1,)
    return float((sum(dims) / np.prod(dims, dtype=float)) ** power)


def layer_sparsities(
    allocation: str, views: list[KernelView], sparsity: float
) -> np.ndarray:
    """Returns the sparsity of each layer under "uniform", "erk" or "er"."""
    if allocation == "uniform" or not views:
        return np.full(len(views), sparsity)
    sizes = np.array([view.size for view in views])
    kernel = allocation == "erk"
    erk_densities = np.array(
        [erk_density(view, kernel=kernel) for view in views]
    )
    return erdos_renyi(sizes, erk_densities, sparsity)


@export_class
class PerLayer:
    """Sets the sparsity of some layers and distributes the rest.

    Example:

    >>> allocation = PerLayer({"out/": None, "first": 0.5}, rest="erk")
    >>> allocation.rest
    'erk'

    Args:
        values: Sparsity in [0, 1) by selector (a regular expression searched
            in the weight's path, a layer, a layer class, a
            `callable(layer) -> bool`, "first" or "last" among the weights to
            prune); `None` leaves the weights dense. The first selector that
            matches a weight applies.
        rest: Allocation of the other weights: "uniform", "erk", "er" or
            "global". Defaults to `"global"`.
        keep_total: Whether all weights together reach the sparsity, so that
            the other weights compensate for these; if `False`, the other
            weights alone reach it. Defaults to `True`.

    Raises:
        TypeError: If `values` is not a dictionary, or a value is not a number.
        ValueError: If a value is out of range or `rest` is not known.
    """

    def __init__(
        self,
        values: Mapping[Pattern, float | None],
        *,
        rest: str = "global",
        keep_total: bool = True,
    ) -> None:
        if not isinstance(values, Mapping):
            raise TypeError(
                "Argument `values` must be a dictionary from patterns to "
                f"sparsities. Received: values={values!r}"
            )
        check_choice(rest, "rest", ALLOCATIONS)
        if not isinstance(keep_total, bool):
            raise TypeError(
                "Argument `keep_total` must be True or False. "
                f"Received: keep_total={keep_total!r}"
            )
        for pattern in values:
            check_selector(pattern, "allocation")
        self.values = {
            pattern: None if value is None else check_fraction(value, "values")
            for pattern, value in values.items()
        }
        self.rest = rest
        self.keep_total = keep_total

    def resolve(
        self, model: keras.Model, targets: Sequence[WeightTarget]
    ) -> dict[int, float]:
        """Returns the sparsities of the targets that selectors match, by index.

        `None` becomes 0.0. Raises a ValueError if a selector matches no
        target.
        """
        places = [(target.key, target.layer) for target in targets]
        found: dict[int, float] = {}
        for pattern, value in self.values.items():
            for hit in select(
                pattern, places, model, "allocation", kind="weight to prune"
            ):
                found.setdefault(hit, value or 0.0)
        return found

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, `values` as a list of pairs."""
        return {
            "values": [
                [serialize_selector(pattern), value]
                for pattern, value in self.values.items()
            ],
            "rest": self.rest,
            "keep_total": self.keep_total,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "PerLayer":
        """Creates the allocation from `get_config`."""
        pairs = config["values"]
        values = {deserialize_selector(one): value for one, value in pairs}
        return cls(**{**config, "values": values})


def resolve_allocation(allocation: Any) -> str | PerLayer:
    """Returns the allocation for a name, a dictionary or a `PerLayer`."""
    if isinstance(allocation, PerLayer):
        return allocation
    if isinstance(allocation, Mapping):
        try:
            return PerLayer(allocation)
        except (TypeError, ValueError) as error:
            raise type(error)(
                f"{error}, of the argument `allocation`"
            ) from error
    if isinstance(allocation, str) and allocation in ALLOCATIONS:
        return allocation
    names = ", ".join(repr(name) for name in ALLOCATIONS)
    raise ValueError(
        f"Argument `allocation` must be one of {names}, a dictionary or a "
        f"PerLayer. Received: allocation={allocation!r}"
    )
