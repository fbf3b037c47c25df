"""What a curriculum is made of, checked."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from keras_netopt.checks import (
    check_choice,
    check_integer,
    check_number,
)
from keras_netopt.curriculum.difficulty import Difficulty
from keras_netopt.curriculum.ordering import (
    Ordering,
    RandomOrder,
    Shuffle,
    as_ordering,
)
from keras_netopt.curriculum.pacing import as_pacing
from keras_netopt.curriculum.resolve import (
    as_difficulty,
    as_labels,
    check_targets,
)
from keras_netopt.curriculum.sources import Source
from keras_netopt.points import Point, check_point
from keras_netopt.schedules import Schedule


@dataclass(frozen=True)
class CurriculumSettings:
    """What a curriculum is made of.

    Args:
        difficulty: What makes a sample hard.
        pacing: Share of the data in play as a function of progress.
        ordering: Which samples come into play first.
        labels: Class number of each sample, or `None`.
        refresh: Time between two scorings by the model being trained.
        warmup: Time before the first one.
        min_share: Part of its share that each class keeps.
        min_per_class: Samples that each class keeps.
        by: "rank" or "value".
        seed: Seed of the order.
    """

    difficulty: Difficulty
    pacing: Schedule
    ordering: Ordering
    labels: np.ndarray | None
    refresh: Point
    warmup: Point
    min_share: float
    min_per_class: int
    by: str
    seed: int

    @classmethod
    def create(
        cls,
        source: Source,
        *,
        difficulty: Any,
        pacing: Any,
        ordering: Any,
        labels: Any,
        class_balanced: bool,
        min_share: float,
        refresh: Point,
        warmup: Point,
        min_per_class: int,
        by: str,
        seed: int,
    ) -> Self:
        """Makes the settings from what a user writes.

        Args:
            source: The data.
            difficulty: A name, scores, a function, an object or a list.
            pacing: A name, a schedule or `None`.
            ordering: A name or an ordering.
            labels: Classes, `None` to find them, `False` for none.
            class_balanced: Whether each class keeps all of its share.
            min_share: Part of its share that each class keeps.
            refresh: Time between two scorings.
            warmup: Time before the first one.
            min_per_class: Samples that each class keeps.
            by: "rank" or "value".
            seed: Seed of the order.

        Raises:
            TypeError: If an argument has the wrong type.
            ValueError: If an argument is out of range.
        """
        check_choice(by, "by", ("rank", "value"))
        check_point(refresh, "refresh")
        check_point(warmup, "warmup")
        check_integer(min_per_class, "min_per_class")
        check_integer(seed, "seed")
        _check_share(min_share)
        if not isinstance(class_balanced, bool):
            raise TypeError(
                "Argument `class_balanced` must be a bool. "
                f"Received: class_balanced={class_balanced!r}"
            )
        found = as_difficulty(difficulty, source.samples)
        check_targets(found, source)
        return cls(
            difficulty=found,
            pacing=as_pacing(pacing),
            ordering=as_ordering(ordering),
            labels=as_labels(labels, source),
            refresh=refresh,
            warmup=warmup,
            min_share=1.0 if class_balanced else float(min_share),
            min_per_class=min_per_class,
            by=by,
            seed=seed,
        )

    @property
    def blind(self) -> bool:
        """Whether the difficulty makes no difference."""
        return isinstance(self.ordering, Shuffle | RandomOrder)


def _check_share(share: float) -> None:
    if not 0.0 <= check_number(share, "min_share") <= 1.0:
        raise ValueError(
            "Argument `min_share` must be in [0, 1]. "
            f"Received: min_share={share!r}"
        )
