"""Orderings: the order in which samples become active, and their weights.

An ordering depends on difficulty scores only, not on pacing, batches or
classes.
"""

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np

from keras_netopt.checks import check_choice, check_integer
from keras_netopt.serialization import export_class

# Second part of the key of the generator; epochs use their number.
_FIXED = 2**63


@dataclass(frozen=True)
class Ordering:
    """Base class of orderings; active samples are the first ones of `order`.

    For a custom ordering, subclass it as a frozen dataclass and override
    `order`, `window` or `weights`.

    Example:

    >>> import numpy as np
    >>> Ordering().order(np.array([0.3, 0.1, 0.2]), seed=0)
    array([1, 2, 0])
    >>> Ordering().window(2, 3)
    (0, 2)
    """

    def order(self, scores: np.ndarray, seed: int) -> np.ndarray:
        """Returns the sample ids in the order in which they become active.

        Args:
            scores: Difficulty of each sample, larger is harder.
            seed: Seed of a random order.
        """
        return np.argsort(scores, kind="stable")

    def window(self, active: int, samples: int) -> tuple[int, int]:
        """Returns start and end of the active slice of the order.

        Args:
            active: Number of samples given by the pacing function, in
                [1, `samples`].
            samples: Number of all samples.
        """
        return 0, active

    def weights(
        self, scores: np.ndarray, fraction: float, epoch: int
    ) -> np.ndarray | None:
        """Returns a weight in [0, 1] per sample; `None` means all 1.

        Args:
            scores: Difficulty of each sample, larger is harder.
            fraction: Value of the pacing function at the start of the epoch.
            epoch: Number of the epoch, from 0.
        """
        return None

    @property
    def has_weights(self) -> bool:
        """Whether `weights` may return weights other than 1."""
        return type(self).weights is not Ordering.weights

    @property
    def stratified(self) -> bool:
        """Whether every active slice must have all classes."""
        return False

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as JSON-safe values."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Creates the ordering from its config."""
        return cls(**config)


@export_class
@dataclass(frozen=True)
class EasyFirst(Ordering):
    """Easiest samples first: `ordering="easy_first"`.

    Example:

    >>> import numpy as np
    >>> EasyFirst().order(np.array([0.3, 0.1, 0.2]), seed=0)
    array([1, 2, 0])
    """


@export_class
@dataclass(frozen=True)
class HardFirst(Ordering):
    """Hardest samples first (anti-curriculum): `ordering="hard_first"`.

    Example:

    >>> import numpy as np
    >>> HardFirst().order(np.array([0.3, 0.1, 0.2]), seed=0)
    array([0, 2, 1])
    """

    def order(self, scores: np.ndarray, seed: int) -> np.ndarray:
        """Returns the ids, hardest first."""
        return np.argsort(-scores, kind="stable")


@export_class
@dataclass(frozen=True)
class RandomOrder(Ordering):
    """One fixed random order (random curriculum): `ordering="random"`.

    The control arm of a comparison: the active sets have the sizes of the
    curriculum and do not depend on the scores, so its gain is the effect of
    the pacing function alone.

    Example:

    >>> import numpy as np
    >>> RandomOrder().order(np.array([0.3, 0.1, 0.2, 0.4]), seed=0)
    array([1, 2, 3, 0])
    """

    def order(self, scores: np.ndarray, seed: int) -> np.ndarray:
        """Returns the ids in an order that depends on the seed only."""
        rng = np.random.Generator(np.random.Philox(key=[seed, _FIXED]))
        return rng.permutation(len(scores))


@export_class
@dataclass(frozen=True)
class Shuffle(Ordering):
    """Ordinary shuffled training: `ordering="shuffle"`.

    The baseline of a comparison: same data set, same number of steps, all
    samples active from the first step.

    Example:

    >>> Shuffle().window(active=2, samples=3)
    (0, 3)
    """

    def window(self, active: int, samples: int) -> tuple[int, int]:
        """Returns the whole order."""
        return 0, samples


@export_class
@dataclass(frozen=True)
class BabySteps(Ordering):
    """Baby Steps: each stage adds a bucket of harder samples.

    The active fraction is rounded up to whole buckets; the first stage trains
    on the easiest bucket.

    Example:

    >>> [BabySteps(buckets=4).window(k, 8) for k in (1, 2, 3, 8)]
    [(0, 2), (0, 2), (0, 4), (0, 8)]

    Args:
        buckets: Number of buckets, at least 1. Defaults to `5`.

    Raises:
        TypeError: If `buckets` is not an integer.
        ValueError: If it is below 1.

    Reference:
        Spitkovsky et al., "From baby steps to leapfrog", 2010.
    """

    buckets: int = 5

    def __post_init__(self) -> None:
        check_integer(self.buckets, "buckets", minimum=1)

    def window(self, active: int, samples: int) -> tuple[int, int]:
        """Returns all buckets up to the current one."""
        return 0, self._edge(self._stage(active, samples), samples)

    def _stage(self, active: int, samples: int) -> int:
        return -(-active * self.buckets // samples)

    def _edge(self, stage: int, samples: int) -> int:
        return stage * samples // self.buckets


@export_class
@dataclass(frozen=True)
class OnePass(BabySteps):
    """One-Pass: each stage trains on one bucket of rising difficulty.

    If targets are classes, each bucket has the class distribution of the
    data.

    Example:

    >>> [OnePass(buckets=4).window(k, 8) for k in (1, 3, 8)]
    [(0, 2), (2, 4), (6, 8)]

    Args:
        buckets: Number of buckets, at least 1. Defaults to `5`.

    Raises:
        TypeError: If `buckets` is not an integer.
        ValueError: If it is below 1.

    Reference:
        Bengio et al., "Curriculum learning", 2009; compared with Baby Steps
        by Spitkovsky et al., 2010.
    """

    def window(self, active: int, samples: int) -> tuple[int, int]:
        """Returns the current bucket."""
        stage = self._stage(active, samples)
        return self._edge(stage - 1, samples), self._edge(stage, samples)

    @property
    def stratified(self) -> bool:
        """Whether every active slice must have all classes."""
        return True


NAMES: dict[str, Ordering] = {
    "easy_first": EasyFirst(),
    "hard_first": HardFirst(),
    "random": RandomOrder(),
    "shuffle": Shuffle(),
}


def as_ordering(value: Any) -> Ordering:
    """Converts a name to an ordering; raises ValueError if it is unknown."""
    if isinstance(value, Ordering):
        return value
    check_choice(value, "ordering", NAMES)
    return NAMES[value]
