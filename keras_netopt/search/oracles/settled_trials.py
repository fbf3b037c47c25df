"""What an oracle knows of its ended trials, extended as they end.

Each trial is read once, so that a trial costs as much after thousands of
others as after a few.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from keras_netopt.search.oracles.observations import Observation
from keras_netopt.search.search_space import SearchSpace


@dataclass
class TriedPoints(Set[Hashable]):
    """The keys of the points that must not be repeated.

    Args:
        space: The search space; the keys are invalid once it has grown.
        ended: Keys of ended trials and of rejected points. Defaults to none.
        running: Keys of the trials that run or wait. Defaults to none.
        trials: Number of ended trials in `ended`. Defaults to `0`.
        rejections: Number of rejected points in `ended`. Defaults to `0`.
    """

    space: SearchSpace
    ended: set[Hashable] = field(default_factory=set)
    running: set[Hashable] = field(default_factory=set)
    trials: int = 0
    rejections: int = 0

    def extend(
        self,
        trials: Sequence[Mapping[str, Any]],
        rejections: Sequence[Mapping[str, Any]],
    ) -> None:
        """Adds the values of newly ended trials and newly rejected points."""
        self.trials += len(trials)
        self.rejections += len(rejections)
        self.ended.update(map(self.space.key, [*trials, *rejections]))

    def __contains__(self, key: object) -> bool:
        return key in self.ended or key in self.running

    def __iter__(self) -> Iterator[Hashable]:
        return iter(self.ended | self.running)

    def __len__(self) -> int:
        return len(self.ended | self.running)


@dataclass
class SettledTrials:
    """Observations in the order of their start, up to a trial that runs.

    Args:
        space: The search space; the places are invalid once it has grown.
        found: The observations, rejected points in between.
        trials: Number of trials among them. Defaults to `0`.
        rejections: Number of rejected points among them. Defaults to `0`.
    """

    space: SearchSpace
    found: list[Observation]
    trials: int = 0
    rejections: int = 0

    def copy(self) -> "SettledTrials":
        """Returns a copy, to be continued with trials that run."""
        known = (self.space, list(self.found), self.trials, self.rejections)
        return SettledTrials(*known)

    def extend(
        self,
        observe: Callable[[str], Observation],
        names: Sequence[str],
        rejected: Sequence[Mapping[str, Any]],
        reject: Callable[[Mapping[str, Any]], Observation],
    ) -> None:
        """Adds trials, each after the points rejected before its start."""
        for name in names:
            self.add_rejections(rejected, reject)
            self.found.append(observe(name))
            self.trials += 1

    def add_rejections(
        self,
        rejected: Sequence[Mapping[str, Any]],
        reject: Callable[[Mapping[str, Any]], Observation],
    ) -> None:
        """Adds the points that were rejected before the next trial."""
        while self.rejections < len(rejected):
            row = rejected[self.rejections]
            if row["at"] > self.trials:
                return
            self.found.append(reject(row["values"]))
            self.rejections += 1
