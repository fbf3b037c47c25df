"""Settings of `Curriculum` for the contract tests."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from contract import zoo
from contract.callback_setting import Arguments, Case, Setting, idle_model

from keras_netopt.callbacks import Curriculum
from keras_netopt.curriculum import SelfPaced, SequenceLengthWarmup
from keras_netopt.schedules import Constant, Linear

COMPONENT = "callbacks.Curriculum"

SCORES = np.arange(64) * 37 % 64

_HALF = Linear(initial=0.5, final=1.0, begin=0.5, end=1.0)

_EARLY = Linear(initial=0.3, final=1.0, begin=0.5, end=1.0)


# The easiest samples have the first class, the hardest the last.
_SORTED = zoo.data("mlp")[1] * 64 + np.arange(64)


def hard_samples_came_late(before: Any, after: Any, callback: Any) -> bool:
    """The first epoch trains less on the hardest quarter."""
    counts = callback.sample_counts()[1].astype(float)
    first = counts[0] / counts[0].sum()
    hard = np.argsort(SCORES)[-16:]
    easy = np.argsort(SCORES)[:16]
    return bool(first[hard].sum() < 0.2 < 0.3 < first[easy].sum())


def weighted_by_loss(before: Any, after: Any, callback: Any) -> bool:
    """The last epoch does not train on the hardest samples of a class."""
    unused = callback.sample_counts()[1][-1] == 0
    scores, labels = callback.scores, zoo.data("mlp")[1].ravel()
    return bool(unused.any()) and all(
        scores[unused & of].min() >= scores[~unused & of].max()
        for of in (labels == label for label in np.unique(labels[unused]))
    )


def _ranked(case: Case, **changed: Any) -> Arguments:
    return {
        "x": case.x,
        "y": zoo.data("mlp")[1],
        "difficulty": SCORES,
        "pacing": _HALF,
        **changed,
    }


def _curriculum(**changed: Any) -> Any:
    return lambda case: Curriculum(**_ranked(case, **changed))


def _sorted_by_class(**changed: Any) -> Any:
    return _curriculum(difficulty=_SORTED, pacing=_EARLY, **changed)


def _all_active(folder: Path) -> tuple[keras.Model, list[Any]]:
    model = idle_model()
    x, y = zoo.data("mlp")
    everything = Constant(1.0, initial=1.0)
    return model, [Curriculum(x, y, difficulty=SCORES, pacing=everything)]


SETTINGS = (
    Setting(
        name="Curriculum",
        component=COMPONENT,
        arguments=lambda case: _ranked(case),
        effect=hard_samples_came_late,
        reference=False,
        needs_callback=True,
        epochs=4,
    ),
    Setting(
        name="Curriculum self-paced",
        component=COMPONENT,
        arguments=lambda case: _ranked(
            case,
            difficulty="loss",
            ordering=SelfPaced("linear"),
        ),
        effect=weighted_by_loss,
        reference=False,
        needs_callback=True,
    ),
)

IDLE = (_all_active, "`pacing`")

BAD: dict[str, Callable[[Case], Any]] = {
    "x": _curriculum(x=3),
    "y": _curriculum(y=np.zeros(63)),
    "sample_weight": _curriculum(sample_weight=-np.ones(64)),
    "difficulty": _curriculum(difficulty=np.full(64, np.nan)),
    "pacing": _curriculum(pacing="fast"),
    "ordering": _curriculum(ordering="fair"),
    "sequence_length": _curriculum(sequence_length=8),
    "scoring_interval": _curriculum(scoring_interval="often"),
    "scoring_begin": _curriculum(scoring_begin="soon"),
    "labels": _curriculum(labels=np.zeros(3, int)),
    "class_balanced": _curriculum(class_balanced="yes"),
    "min_class_share": _curriculum(min_class_share=1.5),
    "min_class_samples": _curriculum(min_class_samples=-1),
    "difficulty_type": _curriculum(difficulty_type="size"),
    "num_samples": _curriculum(num_samples=5),
    "verbose": _curriculum(verbose="loud"),
    "seed": _curriculum(seed="one"),
}

CHANGES: dict[str, tuple[Any, ...]] = {
    "x": (_curriculum(), lambda case: _curriculum(x=-case.x)(case)),
    "y": (_curriculum(), _curriculum(y=(np.arange(64) + 1) % 3)),
    "sample_weight": (
        _curriculum(),
        _curriculum(sample_weight=np.linspace(0.0, 1.0, 64)),
    ),
    "difficulty": (_curriculum(), _curriculum(difficulty=-SCORES)),
    "pacing": (_curriculum(), _curriculum(pacing=_EARLY)),
    "ordering": (_curriculum(), _curriculum(ordering="hard_first")),
    "sequence_length": (
        _curriculum(),
        _curriculum(sequence_length=SequenceLengthWarmup(2, end=0.5)),
        "transformer",
    ),
    "scoring_interval": (
        _curriculum(difficulty="loss"),
        _curriculum(difficulty="loss", scoring_interval="2ep"),
    ),
    "scoring_begin": (
        _curriculum(difficulty="loss"),
        _curriculum(difficulty="loss", scoring_begin="0ep"),
    ),
    "labels": (
        _sorted_by_class(),
        _sorted_by_class(labels=np.arange(64) // 32),
    ),
    "class_balanced": (
        _sorted_by_class(),
        _sorted_by_class(class_balanced=True),
    ),
    "min_class_share": (
        _sorted_by_class(),
        _sorted_by_class(min_class_share=0.0),
    ),
    "min_class_samples": (
        _sorted_by_class(min_class_share=0.0),
        _sorted_by_class(min_class_share=0.0, min_class_samples=6),
    ),
    "difficulty_type": (
        _curriculum(difficulty=1.1**SCORES),
        _curriculum(difficulty=1.1**SCORES, difficulty_type="value"),
    ),
    "num_samples": (_curriculum(), _curriculum(num_samples=64)),
    "verbose": (
        _curriculum(difficulty="loss"),
        _curriculum(difficulty="loss", verbose=1),
    ),
    "seed": (_curriculum(), _curriculum(seed=1)),
}
