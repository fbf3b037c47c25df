"""The checked settings of a curriculum."""

from typing import Any

from keras_netopt.checks import (
    check_bool,
    check_choice,
    check_integer,
    check_probability,
)
from keras_netopt.curriculum.as_difficulty import as_difficulty, check_targets
from keras_netopt.curriculum.class_labels import as_class_labels
from keras_netopt.curriculum.ordering import (
    RandomOrder,
    Shuffle,
    as_ordering,
)
from keras_netopt.curriculum.pacing import as_pacing
from keras_netopt.curriculum.sample_source import SampleSource
from keras_netopt.points import Point, check_point


class CurriculumSettings:
    """The checked arguments of `callbacks.Curriculum`, as objects.

    Args:
        source: The data; the other arguments are those of the callback.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
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
    ) -> None:
        check_choice(
            difficulty_type, "difficulty_type", ("percentile", "value")
        )
        check_point(scoring_begin, "scoring_begin")
        check_point(scoring_interval, "scoring_interval")
        check_integer(min_class_samples, "min_class_samples")
        check_integer(seed, "seed")
        check_probability(min_class_share, "min_class_share")
        check_bool(class_balanced, "class_balanced")
        self.difficulty = as_difficulty(difficulty, source.samples)
        check_targets(self.difficulty, source)
        self.pacing = as_pacing(pacing)
        self.ordering = as_ordering(ordering)
        self.labels = as_class_labels(labels, source)
        self.scoring_begin = scoring_begin
        self.scoring_interval = scoring_interval
        self.min_class_share = 1.0 if class_balanced else float(min_class_share)
        self.min_class_samples = min_class_samples
        self.difficulty_type = difficulty_type
        self.seed = seed

    @property
    def ignores_scores(self) -> bool:
        """Whether the ordering does not depend on the scores."""
        return isinstance(self.ordering, Shuffle | RandomOrder)
