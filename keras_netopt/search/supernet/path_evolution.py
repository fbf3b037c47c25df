"""Evolution over architectures that one network with shared weights ranks."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

Architecture = dict[str, int]
Score = Callable[[Sequence[Architecture]], Sequence[float]]
# Returns a reason why an architecture is not allowed, or `None`.
Refuse = Callable[[Architecture], str | None]

POPULATION = 50
PARENTS = 0.2  # Share of the population with children.
MUTATION = 0.1  # Probability per decision, at least one changes.
_TRIES = 50
_DRAWS = 10  # Random draws per architecture if a start is known.


@dataclass
class PathEvolution:
    """Searches the architecture with the largest score.

    The first generation is random, after known starts; mutations of those that
    it has fill it where limits refuse most random ones. Half of each later one
    are mutations of one parent, half crossovers of two. Every architecture is
    scored once. A space that is not larger than `evaluations` is enumerated.

    Args:
        options: The allowed options of each decision, as their indices.
        score: Scores a generation; larger is better.
        refuse: Tells why an architecture is outside of the limits.
        evaluations: Number of architectures to score.
        seed: Random seed.
        starts: Architectures of the first generation, such as the cheapest
            one, which keeps the limits if any does.

    Reference:
        Guo et al., *Single Path One-Shot Neural Architecture Search with
        Uniform Sampling*, 2020, https://arxiv.org/abs/1904.00420, section
        3.3.
    """

    options: Mapping[str, Sequence[int]]
    score: Score
    refuse: Refuse = lambda architecture: None  # noqa: E731
    evaluations: int = 1000
    seed: int = 0
    starts: Sequence[Architecture] = ()
    scores: dict[tuple[int, ...], float] = field(default_factory=dict)
    finals: dict[tuple[int, ...], float] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    first: int = 0  # Size of the first generation.

    @property
    def size(self) -> int:
        """Number of architectures in the space."""
        return math.prod(len(one) for one in self.options.values())

    def run(self) -> None:
        """Scores generations until there are enough."""
        self._rng = np.random.default_rng(self.seed)
        self._seen: set[tuple[int, ...]] = set()
        if self.size <= self.evaluations:
            self._add(self._enumerate())
            self.first = len(self.scores)
            return
        self._add(self._begin(min(POPULATION, self.evaluations)))
        self.first = len(self.scores)
        while self.scores and len(self.scores) < self.evaluations:
            count = min(POPULATION, self.evaluations - len(self.scores))
            ranked = self._rank()
            parents = ranked[: max(2, int(PARENTS * POPULATION))]
            made = [
                *self._generate(
                    count // 2, functools.partial(self._mutate, parents)
                ),
                *self._generate(
                    count - count // 2, functools.partial(self._cross, parents)
                ),
            ]
            made += self._generate(
                count - len(made), self._draw, self._random_tries
            )
            if not made:
                return
            self._add(made)

    def score_finalists(self, score: Score, count: int) -> None:
        """Scores the best architectures again, by a more precise score."""
        best = self._rank()[:count]
        values = score([self.named(key) for key in best]) if best else []
        self.finals = dict(zip(best, map(_order, values), strict=True))

    def ranking(self) -> list[Architecture]:
        """Returns the architectures, best first; finalists before others."""
        finalists = sorted(
            self.finals, key=lambda key: (-self.finals[key], key)
        )
        others = [key for key in self._rank() if key not in self.finals]
        return [self.named(key) for key in [*finalists, *others]]

    def named(self, key: tuple[int, ...]) -> Architecture:
        """Returns an architecture by the names of its decisions."""
        return dict(zip(self.options, key, strict=True))

    def _rank(self) -> list[tuple[int, ...]]:
        return sorted(self.scores, key=lambda key: (-self.scores[key], key))

    def _add(self, keys: Sequence[tuple[int, ...]]) -> None:
        values = self.score([self.named(key) for key in keys]) if keys else []
        self.scores |= dict(zip(keys, map(_order, values), strict=True))

    def _is_new(self, key: tuple[int, ...]) -> bool:
        if key in self._seen:
            return False
        self._seen.add(key)
        reason = self.refuse(self.named(key))
        if reason is not None:
            self.refused[reason] = self.refused.get(reason, 0) + 1
        return reason is None

    @property
    def _random_tries(self) -> int:
        return _DRAWS if self.starts else _TRIES

    def _begin(self, count: int) -> list[tuple[int, ...]]:
        """Makes the first generation."""
        starts = [tuple(one[k] for k in self.options) for one in self.starts]
        found = [key for key in starts if self._is_new(key)][:count]
        found += self._generate(
            count - len(found), self._draw, self._random_tries
        )
        while found and len(found) < count:
            more = self._generate(
                1,
                functools.partial(self._mutate, found),
                POPULATION * _TRIES,
            )
            if not more:
                break
            found += more
        return found

    def _generate(
        self,
        count: int,
        make: Callable[[], tuple[int, ...]],
        tries: int = _TRIES,
    ) -> list[tuple[int, ...]]:
        """Makes new allowed architectures, fewer if there are none left."""
        found: list[tuple[int, ...]] = []
        for _ in range(count * tries):
            if len(found) >= count:
                break
            key = make()
            if self._is_new(key):
                found.append(key)
        return found

    def _enumerate(self) -> list[tuple[int, ...]]:
        grid = np.array(
            np.meshgrid(*self.options.values(), indexing="ij")
        ).reshape(len(self.options), -1)
        keys = [tuple(int(one) for one in column) for column in grid.T]
        return [key for key in keys if self._is_new(key)]

    def _draw(self) -> tuple[int, ...]:
        return tuple(int(self._rng.choice(o)) for o in self.options.values())

    def _pick(self, parents: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
        return parents[int(self._rng.integers(len(parents)))]

    def _mutate(self, parents: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
        parent = self._pick(parents)
        changes = self._rng.random(len(parent)) < MUTATION
        changes[self._rng.integers(len(parent))] = True
        return tuple(
            drawn if change else kept
            for drawn, kept, change in zip(
                self._draw(), parent, changes, strict=True
            )
        )

    def _cross(self, parents: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
        pairs = zip(self._pick(parents), self._pick(parents), strict=True)
        return tuple(one[int(self._rng.integers(2))] for one in pairs)


def _order(value: float) -> float:
    """Returns a score that has an order: a network that diverged is worst."""
    return -math.inf if math.isnan(value) else float(value)
