"""The checked settings of a curriculum."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from keras_netopt.checks import (
    check_bool,
    check_choice,
    check_integer,
    check_probability,
)
from keras_netopt.curriculum.as_difficulty import as_difficulty, check_targets
from keras_netopt.curriculum.class_labels import as_class_labels
from keras_netopt.curriculum.difficulty import Difficulty
from keras_netopt.curriculum.ordering import (
    Ordering,
    RandomOrder,
    Shuffle,
    as_ordering,
)
from keras_netopt.curriculum.pacing import as_pacing
from keras_netopt.curriculum.sample_source import SampleSource
from keras_netopt.points import Point, check_point
from keras_netopt.schedules import Schedule


@dataclass(frozen=True)
class CurriculumSettings:
    """The settings of a curriculum, as objects of the engine.

    Args:
        difficulty: The difficulty scores.
        pacing: Fraction of active samples as a function of progress.
        ordering: Order in which samples become active.
        labels: Class number of each sample, or `None`.
        scoring_begin: Time of the first scoring by the model being trained.
        scoring_interval: Time between two scorings.
        min_class_share: Smallest share of a class among the active samples,
            relative to its share of all data.
        min_class_samples: Smallest number of active samples of each class.
        difficulty_type: "percentile" or "value".
        seed: Seed of the order.
    """

    difficulty: Difficulty
    pacing: Schedule
    ordering: Ordering
    labels: np.ndarray | None
    scoring_begin: Point
    scoring_interval: Point
    min_class_share: float
    min_class_samples: int
    difficulty_type: str
    seed: int

    @classmethod
    def create(
        cls,
        source: SampleSource,
        *,
        difficulty: Any = "loss",
        pacing: Any = None,
        ordering: Any = "easy_first",
        labels: Any = None,
        class_balanced: bool = False,
        scoring_begin: Point = "1ep",
        scoring_interval: Point = "1ep",
        min_class_share: float = 0.5,
        min_class_samples: int = 1,
        difficulty_type: str = "percentile",
        seed: int = 0,
    ) -> Self:
        """Checks and converts the arguments of `callbacks.Curriculum`.

        Args:
            source: The data; the other arguments are those of
                `callbacks.Curriculum`.

        Raises:
            TypeError: If an argument has the wrong type.
            ValueError: If an argument is out of range.
        """
        check_choice(
            difficulty_type, "difficulty_type", ("percentile", "value")
        )
        check_point(scoring_begin, "scoring_begin")
        check_point(scoring_interval, "scoring_interval")
        check_integer(min_class_samples, "min_class_samples")
        check_integer(seed, "seed")
        check_probability(min_class_share, "min_class_share")
        check_bool(class_balanced, "class_balanced")
        found = as_difficulty(difficulty, source.samples)
        check_targets(found, source)
        return cls(
            difficulty=found,
            pacing=as_pacing(pacing),
            ordering=as_ordering(ordering),
            labels=as_class_labels(labels, source),
            scoring_begin=scoring_begin,
            scoring_interval=scoring_interval,
            min_class_share=1.0 if class_balanced else float(min_class_share),
            min_class_samples=min_class_samples,
            difficulty_type=difficulty_type,
            seed=seed,
        )

    @property
    def ignores_scores(self) -> bool:
        """Whether the ordering does not depend on the scores."""
        return isinstance(self.ordering, Shuffle | RandomOrder)
