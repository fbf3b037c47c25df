"""Cross-validation: splits samples into folds."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_netopt.checks import check_bool, check_integer, check_seed

Fold = tuple[np.ndarray, np.ndarray]


# Not scikit-learn's: it is no dependency, and the folds of a seed must not
# depend on whether it is installed.
@dataclass(frozen=True)
class KFold:
    """K-fold cross-validation.

    `folds=5` of a tuner is `KFold(5)`. Any splitter of scikit-learn, or an
    object with `split(x, y, groups)`, may be passed instead.

    Example:

    >>> import numpy as np
    >>> for train, held_out in KFold(2, shuffle=False).split(4):
    ...     print(train, held_out)
    [2 3] [0 1]
    [0 1] [2 3]

    Args:
        k: Number of folds, at least 2. Defaults to `5`.
        stratified: Whether the number of samples per class is equal in all
            folds, up to one sample. Needs integer or string classes as
            targets. Defaults to `False`.
        shuffle: Whether to shuffle the samples first. Defaults to `True`.
        seed: Seed of the shuffling, the same for all trials. Defaults to
            `0`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If `k` is below 2.
    """

    k: int = 5
    stratified: bool = False
    shuffle: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        check_integer(self.k, "folds", minimum=2)
        check_bool(self.stratified, "stratified")
        check_bool(self.shuffle, "shuffle")
        check_seed(self.seed)

    def split(self, n: int, y: Any = None, groups: Any = None) -> list[Fold]:
        """Returns training and validation ids of each fold.

        Args:
            n: Number of samples.
            y: Targets, required with `stratified`.
            groups: One label per sample; a group is never split.
                Defaults to `None`.

        Raises:
            ValueError: If there are fewer samples, groups or samples of a
                class than folds, or the targets are not classes.
        """
        if n < self.k:
            raise ValueError(
                f"Argument `folds` must be at most the number of samples, {n}. "
                f"Received: folds={self.k}"
            )
        rng = np.random.default_rng(self.seed)
        order = rng.permutation(n) if self.shuffle else np.arange(n)
        part: np.ndarray
        if groups is not None:
            part = self._by_group(_labels(groups, n, "groups"), order)
        elif self.stratified:
            part = self._by_class(_classes(y, n), order)
        else:
            part = np.empty(n, "int64")
            part[order] = np.arange(n) * self.k // n
        return [
            (np.flatnonzero(part != fold), np.flatnonzero(part == fold))
            for fold in range(self.k)
        ]

    def _by_class(self, labels: np.ndarray, order: np.ndarray) -> np.ndarray:
        """Assigns the samples of each class to the folds in turn."""
        names, counts = np.unique(labels, return_counts=True)
        if counts.min() < self.k:
            raise ValueError(
                "Argument `folds` must be at most the samples of the rarest "
                f"class, {counts.min()} of {names[counts.argmin()]!r}. "
                f"Received: folds={self.k}"
            )
        part: np.ndarray = np.empty(len(labels), "int64")
        ranked = order[np.argsort(labels[order], kind="stable")]
        part[ranked] = np.arange(len(labels)) % self.k
        return part

    def _by_group(self, labels: np.ndarray, order: np.ndarray) -> np.ndarray:
        """Assigns groups by size, each to the smallest fold."""
        if self.stratified:
            raise ValueError(
                "Argument `groups` must be omitted with stratified folds. Pass "
                "scikit-learn's StratifiedGroupKFold as `folds` instead. "
                "Received: stratified=True"
            )
        names, where = np.unique(labels[order], return_inverse=True)
        if len(names) < self.k:
            raise ValueError(
                f"Argument `folds` must be at most the number of groups, "
                f"{len(names)}. "
                f"Received: folds={self.k}"
            )
        sizes = np.bincount(where)
        filled: np.ndarray = np.zeros(self.k, "int64")
        home: np.ndarray = np.empty(len(names), "int64")
        for group in np.argsort(-sizes, kind="stable"):
            home[group] = filled.argmin()
            filled[home[group]] += sizes[group]
        part: np.ndarray = np.empty(len(labels), "int64")
        part[order] = home[where]
        return part


def to_folds(folds: Any) -> Any:
    """Converts the argument `folds` to a splitter, or `None`."""
    if folds is None or hasattr(folds, "split") and not isinstance(folds, str):
        return folds
    if isinstance(folds, str) and folds == "stratified":
        return KFold(stratified=True)
    if isinstance(folds, (int, np.integer)) and not isinstance(folds, bool):
        return KFold(int(folds))
    raise TypeError(
        'Argument `folds` must be a number, "stratified" or an object with '
        f"`split(x, y)`. Received: folds={folds!r}"
    )


@dataclass(frozen=True)
class FoldedData:
    """The samples of a search and their folds.

    `x` holds arrays in any structure, or is a function of sample ids that
    returns `(x, y)` or `(x, y, sample_weight)`. `splits` holds the training
    and validation ids of each fold.
    """

    x: Any
    y: Any
    sample_weight: Any
    num_samples: int
    splits: list[Fold]

    def select_samples(self, ids: np.ndarray) -> tuple[Any, ...]:
        """Returns the samples as `(x, y)` or `(x, y, sample_weight)`."""
        if callable(self.x):
            found = self.x(ids)
            if not isinstance(found, tuple) or not 2 <= len(found) <= 3:
                raise ValueError(
                    "Argument `x` must return `(x, y)` or `(x, y, "
                    f"sample_weight)`. Received: {type(found).__name__}"
                )
            return found
        parts: list[Any] = [_select(self.x, ids), _select(self.y, ids)]
        if self.sample_weight is not None:
            parts.append(_select(self.sample_weight, ids))
        return tuple(parts)

    def __iter__(self) -> Iterator[tuple[tuple[Any, ...], tuple[Any, ...]]]:
        for train, held_out in self.splits:
            yield self.select_samples(train), self.select_samples(held_out)


def split_data(
    folds: Any,
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    num_samples: int | None = None,
    groups: Any = None,
) -> FoldedData:
    """Splits the data of a search by the splitter `folds`.

    `num_samples` is required if `x` is a function of sample ids; `groups`
    holds one label per sample.
    """
    if callable(x) and not hasattr(x, "shape"):
        if num_samples is None:
            raise ValueError(
                "Argument `num_samples` must be given if `x` is a function of "
                "sample ids. Received: num_samples=None"
            )
        n = check_integer(num_samples, "num_samples", minimum=1)
    else:
        n = _length(x, y)
    first = n if isinstance(folds, KFold) else np.zeros((n, 1))
    given = (first, y) if groups is None else (first, y, groups)
    splits = [
        (np.asarray(train), np.asarray(held_out))
        for train, held_out in folds.split(*given)
    ]
    return FoldedData(x, y, sample_weight, n, splits)


def _length(x: Any, y: Any) -> int:
    leaves = [leaf for leaf in keras.tree.flatten((x, y)) if leaf is not None]
    sized = [leaf for leaf in leaves if hasattr(leaf, "shape")]
    if not sized or len(sized) < len(leaves):
        kinds = sorted({type(leaf).__name__ for leaf in leaves})
        raise ValueError(
            "Argument `folds` must be omitted unless the samples can be "
            "indexed. Pass arrays, or a function `x(ids)` that returns "
            "`(x, y)`, with `num_samples`. "
            f"Received: x of type {', '.join(kinds)}"
        )
    lengths = {int(leaf.shape[0]) for leaf in sized}
    if len(lengths) > 1:
        raise ValueError(
            "Arguments `x` and `y` must have the same number of samples. "
            f"Received: {sorted(lengths)} samples"
        )
    return lengths.pop()


def _select(part: Any, ids: np.ndarray) -> Any:
    return keras.tree.map_structure(
        lambda leaf: None if leaf is None else np.asarray(leaf)[ids], part
    )


def _labels(values: Any, n: int, name: str) -> np.ndarray:
    labels = np.asarray(values)
    if labels.shape != (n,):
        raise ValueError(
            f"Argument `{name}` must hold one label per sample, {n} in all. "
            f"Received: {name} of shape {labels.shape}"
        )
    return labels


def _classes(y: Any, n: int) -> np.ndarray:
    found = None if y is None or isinstance(y, dict) else np.asarray(y)
    if found is not None and found.shape == (n, 1):
        found = found[:, 0]
    if found is None or found.ndim != 1 or not _are_classes(found):
        shape = None if found is None else found.shape
        kind = None if found is None else found.dtype
        raise ValueError(
            "Argument `y` must hold classes (whole numbers or strings) of "
            "shape (samples,) for stratified folds. "
            f"Received: y of shape {shape} and dtype {kind}"
        )
    return found


def _are_classes(labels: np.ndarray) -> bool:
    if labels.dtype.kind == "f":  # As targets of a binary crossentropy.
        return bool((labels == np.round(labels)).all())
    return labels.dtype.kind in "iubOUS"
