"""Which samples are in play: the axis between difficulty and the batches.

An ordering says in which order samples come into play and which stretch of
that order is in play. It knows no pacing, no batches and no classes.
"""

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np

from keras_netopt.checks import check_choice, check_integer
from keras_netopt.serialization import export_class

# A stream of its own, apart from those of the epochs: key [seed, this].
_FIXED = 2**63


@dataclass(frozen=True)
class Ordering:
    """Base of the orderings: all samples from the first on.

    To write your own, subclass as a frozen dataclass and override `order`,
    `window` or `weights`.

    Example:

    >>> import numpy as np
    >>> Ordering().order(np.array([0.3, 0.1, 0.2]), seed=0)
    array([1, 2, 0])
    >>> Ordering().window(2, 3)
    (0, 2)
    """

    def order(self, scores: np.ndarray, seed: int) -> np.ndarray:
        """Returns the sample ids in the order in which they come into play.

        Args:
            scores: Difficulty of each sample, larger is harder.
            seed: Seed of what is random about the order.
        """
        return np.argsort(scores, kind="stable")

    def window(self, active: int, samples: int) -> tuple[int, int]:
        """Returns the stretch of the order that is in play.

        Args:
            active: How many samples the pacing lets in, in [1, `samples`].
            samples: How many there are.
        """
        return 0, active

    def weights(
        self, scores: np.ndarray, share: float, epoch: int
    ) -> np.ndarray | None:
        """Returns a weight in [0, 1] for each sample, `None` for all ones.

        Args:
            scores: Difficulty of each sample, larger is harder.
            share: What the pacing gives at the start of the epoch.
            epoch: Number of the epoch, from 0.
        """
        return None

    @property
    def stratified(self) -> bool:
        """Whether the class guard must hold for every stretch."""
        return False

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as JSON-safe values."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Makes the ordering whose `get_config` returned `config`."""
        return cls(**config)


@export_class
@dataclass(frozen=True)
class EasyFirst(Ordering):
    """The easiest samples come first: `ordering="easy_first"`.

    Example:

    >>> import numpy as np
    >>> EasyFirst().order(np.array([0.3, 0.1, 0.2]), seed=0)
    array([1, 2, 0])
    """


@export_class
@dataclass(frozen=True)
class HardFirst(Ordering):
    """The hardest samples come first: `ordering="hard_first"`.

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
    """One fixed random order, whatever the scores: `ordering="random"`.

    The control arm: as many samples as the curriculum, chosen blindly. What
    it gains comes from the pacing and not from the difficulty.

    Example:

    >>> import numpy as np
    >>> RandomOrder().order(np.array([0.3, 0.1, 0.2, 0.4]), seed=0)
    array([1, 2, 3, 0])
    """

    def order(self, scores: np.ndarray, seed: int) -> np.ndarray:
        """Returns the ids in an order that depends on the seed alone."""
        rng = np.random.Generator(np.random.Philox(key=[seed, _FIXED]))
        return rng.permutation(len(scores))


@export_class
@dataclass(frozen=True)
class Shuffle(Ordering):
    """All samples from the start: `ordering="shuffle"`, ordinary training.

    The baseline arm: same data set, same number of steps, no pacing.

    Example:

    >>> Shuffle().window(active=2, samples=3)
    (0, 3)
    """

    def window(self, active: int, samples: int) -> tuple[int, int]:
        """Returns all of the order."""
        return 0, samples


@export_class
@dataclass(frozen=True)
class BabySteps(Ordering):
    """Buckets of rising difficulty, each stage adds one.

    The share that the pacing gives is rounded up to whole buckets; the first
    stage is the easiest bucket alone.

    Example:

    >>> [BabySteps(buckets=4).window(k, 8) for k in (1, 2, 3, 8)]
    [(0, 2), (0, 2), (0, 4), (0, 8)]

    Args:
        buckets: How many, at least 1. Defaults to `5`.

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
    """Buckets of rising difficulty, each stage trains on one of them alone.

    Where targets are classes, each bucket has every class by its share.

    Example:

    >>> [OnePass(buckets=4).window(k, 8) for k in (1, 3, 8)]
    [(0, 2), (2, 4), (6, 8)]

    Args:
        buckets: How many, at least 1. Defaults to `5`.

    Raises:
        TypeError: If `buckets` is not an integer.
        ValueError: If it is below 1.

    Reference:
        Bengio et al., "Curriculum learning", 2009; compared with baby steps
        by Spitkovsky et al., 2010.
    """

    def window(self, active: int, samples: int) -> tuple[int, int]:
        """Returns the current bucket alone."""
        stage = self._stage(active, samples)
        return self._edge(stage - 1, samples), self._edge(stage, samples)

    @property
    def stratified(self) -> bool:
        """Whether the class guard must hold for every stretch."""
        return True


NAMES: dict[str, Ordering] = {
    "easy_first": EasyFirst(),
    "hard_first": HardFirst(),
    "random": RandomOrder(),
    "shuffle": Shuffle(),
}


def as_ordering(value: Any) -> Ordering:
    """Returns the ordering that a user names.

    Example:

    >>> as_ordering("hard_first")
    HardFirst()

    Args:
        value: "easy_first", "hard_first", "random", "shuffle" or an
            `Ordering`.

    Raises:
        ValueError: If the name is not known.
    """
    if isinstance(value, Ordering):
        return value
    check_choice(value, "ordering", NAMES)
    return NAMES[value]
