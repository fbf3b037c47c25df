"""Chooses what a lateral connection can do without; NumPy on its tensors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class LateralCut:
    """What is left of a lateral connection.

    Args:
        usage: Share of the sum that the adapter adds, as a root mean square.
        sources: Numbers of the sources that stay; empty: the whole adapter
            goes.
        units: Numbers of the units of the reducing layer that stay.
        weights: Weights of the smaller layer, in the order of the layer.
    """

    usage: float
    sources: list[int]
    units: list[int]
    weights: list[Array]


def choose_cut(
    layer: Any,
    tensors: Sequence[Array],
    threshold: float,
    score: str,
) -> LateralCut:
    """Finds the smallest adapter that adds nearly the same.

    What is removed is replaced by its mean over the inputs, in the biases.

    Args:
        layer: A `LateralConnection`.
        tensors: Its inputs on some data, channels last, as matrices.
        threshold: Largest change, as a share of the sum: of the sources that
            are removed together, and likewise of the units. With the score
            "alpha", smallest `|alpha|` of a source that stays.
        score: "usage" or "alpha".
    """
    parts = _Adapter(layer, tensors)
    everything = list(range(len(tensors) - 1))
    units = list(range(parts.expand.shape[0]))
    if score == "alpha":
        sources = [k for k in everything if abs(parts.alpha[k]) >= threshold]
    elif parts.usage < threshold:
        sources = []
    else:
        sources = parts.choose_sources(threshold)
    if not sources:
        return LateralCut(parts.usage, [], [], [])
    parts.drop_sources([k for k in everything if k not in sources])
    if score == "usage":
        units = parts.choose_units(threshold)
    weights = parts.weights(sources, units)
    return LateralCut(parts.usage, sources, units, weights)


class _Adapter:
    """The arrays of an adapter: `h + act(sum_j z_j + b) @ expand + c`."""

    def __init__(self, layer: Any, tensors: Sequence[Array]) -> None:
        found: list[Any] = [one.astype("float64") for one in tensors]
        hidden, *sources = found
        self.is_mlp = layer.reduce is not None
        self.activation = layer.activation if self.is_mlp else None
        self.alpha = _read(layer.alpha)
        first = layer.reduce if self.is_mlp else layer.expand
        edges = np.cumsum([one.shape[-1] for one in sources])[:-1]
        self.kernels = np.split(_read(first.kernel), edges)
        self.bias = _read(first.bias)
        self.expand, self.shift = np.eye(len(self.bias)), np.zeros(1)
        if self.is_mlp:
            self.expand = _read(layer.expand.kernel)
            self.shift = _read(layer.expand.bias)
        self.parts = [
            alpha * (source @ kernel)
            for alpha, source, kernel in zip(
                self.alpha, sources, self.kernels, strict=True
            )
        ]
        self.units = self._activate(sum(self.parts) + self.bias)
        added = self.units @ self.expand + self.shift
        self.scale = _size(hidden + added) or 1.0
        self.usage = _size(added) / self.scale

    def choose_sources(self, threshold: float) -> list[int]:
        """Drops sources, the least used first, until the change shows."""
        kept = list(range(len(self.parts)))
        changes = {k: self._change([k]) for k in kept}
        dropped: list[int] = []
        for k in sorted(kept, key=changes.__getitem__)[:-1]:
            if self._change([*dropped, k]) >= threshold:
                break
            dropped.append(k)
        return [k for k in kept if k not in dropped]

    def drop_sources(self, dropped: Sequence[int]) -> None:
        """Replaces sources by their means, in the bias."""
        for k in dropped:
            self.bias = self.bias + self.parts[k].mean(axis=0)
        kept = [p for k, p in enumerate(self.parts) if k not in dropped]
        self.units = self._activate(sum(kept) + self.bias)

    def choose_units(self, threshold: float) -> list[int]:
        """Drops units of the MLP in the same way."""
        count = self.expand.shape[0]
        if not self.is_mlp:
            return list(range(count))
        centred = self.units - self.units.mean(axis=0)
        effect = (centred.T @ centred) * (self.expand @ self.expand.T)
        effect /= len(centred) * self.scale**2
        dropped: list[int] = []
        left, total = list(range(count)), 0.0
        while len(left) > 1:
            totals = [
                total + effect[k, k] + 2 * effect[k, dropped].sum()
                for k in left
            ]
            best = int(np.argmin(totals))
            if max(totals[best], 0.0) >= threshold**2:
                break
            total = totals[best]
            dropped.append(left.pop(best))
        return left

    def weights(
        self, sources: Sequence[int], units: Sequence[int]
    ) -> list[Array]:
        """Returns the weights with the sources and units that stay."""
        kernel = np.concatenate([self.kernels[k] for k in sources])
        alpha = self.alpha[list(sources)]
        if not self.is_mlp:
            return [alpha, kernel, self.bias]
        gone = [k for k in range(self.expand.shape[0]) if k not in units]
        means = self.units.mean(axis=0)
        return [
            alpha,
            kernel[:, units],
            self.bias[units],
            self.expand[units],
            self.shift + means[gone] @ self.expand[gone],
        ]

    def _change(self, dropped: Sequence[int]) -> float:
        before = sum(self.parts) + self.bias
        after = before - sum(
            self.parts[k] - self.parts[k].mean(axis=0) for k in dropped
        )
        difference = self._activate(after) - self._activate(before)
        return _size(difference @ self.expand) / self.scale

    def _activate(self, values: Array) -> Array:
        if self.activation is None:
            return values
        found = self.activation(
            keras.ops.convert_to_tensor(values.astype("float32"))
        )
        return keras.ops.convert_to_numpy(found).astype("float64")


def _read(variable: Any) -> Array:
    return keras.ops.convert_to_numpy(variable).astype("float64")


def _size(values: Array) -> float:
    """Root mean square over the samples of the length of a vector."""
    return float(np.sqrt(np.mean(np.sum(values**2, axis=-1))))
