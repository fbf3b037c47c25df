"""Checks of a curriculum against the model and the length of the fit."""

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from keras_netopt.curriculum.curriculum_data import CurriculumData
from keras_netopt.curriculum.curriculum_settings import CurriculumSettings
from keras_netopt.curriculum.epoch_plan import active_counter
from keras_netopt.curriculum.loss_axes import check_loss_axes
from keras_netopt.curriculum.ordering import OnePass, Ordering, Shuffle
from keras_netopt.curriculum.pacing import active_fractions
from keras_netopt.curriculum.self_paced import SelfPaced
from keras_netopt.points import RunLength


def check_fit(
    settings: CurriculumSettings,
    data: CurriculumData,
    run: RunLength,
    arguments: Mapping[str, Any],
    model: keras.Model,
) -> list[str]:
    """Raises ValueError if `fit` cannot follow the plan.

    `arguments` are those of `fit`, as far as they are known. Returns likely
    mistakes, with the remedy.
    """
    for name in ("y", "sample_weight"):
        if arguments.get(name) is not None:
            raise ValueError(
                f"Argument `{name}` must be given to `Curriculum` and not to "
                "`fit`: the data set holds it. "
                f"Received: {name} of type {type(arguments[name]).__name__}"
            )
    if run.steps_per_epoch != data.steps:
        raise ValueError(
            "Argument `steps_per_epoch` must be given to `dataset()` and not "
            f"to `fit`: the plan has {data.steps} steps per epoch. "
            f"Received: steps_per_epoch={run.steps_per_epoch}"
        )
    _check_pacing(settings, data, run)
    reasons = [*_misuse_reasons(settings, run, arguments)]
    if data.adapter is not None and data.reader is not None:
        reasons += check_loss_axes(model, data.reader)
    return reasons


def _check_pacing(
    settings: CurriculumSettings, data: CurriculumData, run: RunLength
) -> None:
    steps, batch = int(data.steps or 1), int(data.batch_size or 1)
    samples = data.source.samples
    for epoch in range(run.epochs):
        share = float(
            active_fractions(settings.pacing, run, epoch, steps).min()
        )
        count = active_counter(np.arange(samples), "percentile")(share)
        if (
            count < batch
            and settings.difficulty_type == "percentile"
            and not isinstance(settings.ordering, Shuffle)
        ):
            raise ValueError(
                f"Argument `pacing` must keep at least one batch of {batch} "
                f"samples active; in epoch {epoch} it keeps {count} of "
                f"{samples}. Use a larger `initial`, or a smaller "
                "`batch_size` in `dataset`. "
                f"Received: pacing={settings.pacing!r}"
            )


def no_effect_reasons(
    settings: CurriculumSettings,
    run: RunLength,
    scores: np.ndarray | None,
    epoch: int,
) -> Iterator[str]:
    """Yields reasons why a curriculum has no effect, with the remedy.

    `scores` are `None` before the first scoring. Equal dynamic scores are
    reported in the last epoch only.
    """
    ordering = settings.ordering
    dynamic = settings.difficulty.dynamic
    if isinstance(ordering, Shuffle):
        return
    if settings.pacing.at(0, run) >= 1.0 and _weights_are_equal(ordering):
        yield (
            "all samples are active from the first step, with equal "
            "weights: this is ordinary training. Give `pacing` an `initial` "
            'below 1, or use ordering="shuffle".'
        )
    elif (
        scores is not None
        and not settings.ignores_scores
        and not (dynamic and epoch < run.epochs - 1)
        and scores.min() == scores.max()
    ):
        yield (
            f"all {len(scores)} difficulty scores are {scores[0]:.6g}, so "
            "samples become active in the order of the data. Choose another "
            "`difficulty`."
        )


def _misuse_reasons(
    settings: CurriculumSettings, run: RunLength, arguments: Mapping[str, Any]
) -> Iterator[str]:
    if arguments.get("class_weight") is not None:
        yield (
            "`class_weight` of `fit` has no effect on a curriculum's data set. "
            "Use `curriculum.dataset(class_weight=...)`."
        )
    dropped = _dropped_fraction(settings, run)
    if dropped > 0.0:
        yield (
            f"the pacing ends below 1, so {dropped:.0%} of the samples are "
            "never trained on at the end. In the benchmarks this helped with "
            "wrong labels and cost 7 to 12 points of accuracy on clean "
            "labels. Let `pacing` end at 1 unless many labels are wrong."
        )


def _dropped_fraction(settings: CurriculumSettings, run: RunLength) -> float:
    ordering = settings.ordering
    if isinstance(ordering, Shuffle | OnePass):
        return 0.0
    if isinstance(ordering, SelfPaced) and ordering.initial_age is not None:
        return 0.0
    return 1.0 - settings.pacing.at(int(run.total or 0), run)


def _weights_are_equal(ordering: Ordering) -> bool:
    return not isinstance(ordering, SelfPaced) or (
        ordering.weighting == "hard" and ordering.initial_age is None
    )
