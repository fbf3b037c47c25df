"""What can be wrong with a curriculum once the length of the fit is known."""

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from keras_netopt.curriculum.data import CurriculumData
from keras_netopt.curriculum.ordering import OnePass, Ordering, Shuffle
from keras_netopt.curriculum.pacing import fractions
from keras_netopt.curriculum.plan import counter
from keras_netopt.curriculum.self_paced import SelfPaced
from keras_netopt.curriculum.settings import CurriculumSettings
from keras_netopt.points import RunLength


def check_fit(
    settings: CurriculumSettings,
    data: CurriculumData,
    run: RunLength,
    arguments: Mapping[str, Any],
    model: keras.Model,
) -> None:
    """Refuses a fit that could not follow the plan.

    Args:
        settings: What the curriculum is made of.
        data: Its data.
        run: Length of the fit.
        arguments: What `fit` was called with, as far as that is known.
        model: The model being trained.

    Raises:
        ValueError: If something does not fit together.
    """
    for name in ("y", "sample_weight"):
        if arguments.get(name) is not None:
            raise ValueError(
                f"Argument `{name}` must go to `Curriculum` and not to `fit`, "
                "whose data set holds it. "
                f"Received: {name} of type {type(arguments[name]).__name__}"
            )
    if run.steps_per_epoch != data.steps:
        raise ValueError(
            "Argument `steps_per_epoch` must be given to `dataset()` and not "
            f"to `fit`: the plan has {data.steps} steps an epoch. "
            f"Received: steps_per_epoch={run.steps_per_epoch}"
        )
    _check_axes(data, model)
    _check_pacing(settings, data, run)


def _check_axes(data: CurriculumData, model: keras.Model) -> None:
    """Weights must have the axes of the loss: one less than the answers."""
    answers = getattr(model, "output_shape", None) if model.built else None
    if data.adapter is None or not isinstance(answers, tuple):
        return
    is_shape = all(size is None or isinstance(size, int) for size in answers)
    if is_shape and len(answers) > 1 and len(answers) - 1 != data.axes:
        raise ValueError(
            "Argument `token_weights` of `dataset()` must be "
            f"{len(answers) - 1 > data.axes} here: the model answers with "
            f"shape {answers}, so its loss has {len(answers) - 1} axes. "
            f"Received: weights with {data.axes}"
        )


def _check_pacing(
    settings: CurriculumSettings, data: CurriculumData, run: RunLength
) -> None:
    steps, batch = int(data.steps or 1), int(data.batch_size or 1)
    samples = data.source.samples
    for epoch in range(run.epochs):
        share = float(fractions(settings.pacing, run, epoch, steps).min())
        count = counter(np.arange(samples), "rank")(share)
        if (
            count < batch
            and settings.by == "rank"
            and not isinstance(settings.ordering, Shuffle)
        ):
            raise ValueError(
                f"Argument `pacing` must keep at least a batch of {batch} "
                f"samples in play; in epoch {epoch} it keeps {count} of "
                f"{samples}. Give it a larger `initial`, or `dataset` a "
                f"smaller batch. Received: pacing={settings.pacing!r}"
            )


def idle_reasons(
    settings: CurriculumSettings,
    run: RunLength,
    scores: np.ndarray | None,
    epoch: int,
) -> Iterator[str]:
    """Yields why a curriculum will do nothing, with the remedy.

    Args:
        settings: What the curriculum is made of.
        run: Length of the fit.
        scores: Difficulty of each sample as far as it is known.
        epoch: Number of the epoch; scores that follow the training have until
            the last one to differ.
    """
    ordering = settings.ordering
    follows = settings.difficulty.follows_training
    if isinstance(ordering, Shuffle):
        return
    if settings.pacing.at(0, run) >= 1.0 and _is_plain(ordering):
        yield (
            "all samples are in play from the first step on, with equal "
            "weights: this is ordinary training. Give `pacing` an `initial` "
            'below 1, or say ordering="shuffle".'
        )
    elif (
        scores is not None
        and not settings.blind
        and not (follows and epoch < run.epochs - 1)
        and scores.min() == scores.max()
    ):
        yield (
            f"all {len(scores)} scores are {scores[0]:.6g}: nothing tells "
            "easy from hard, samples come into play in the order of the "
            "data. Choose another `difficulty`."
        )


def doubts(
    settings: CurriculumSettings, run: RunLength, arguments: Mapping[str, Any]
) -> Iterator[str]:
    """Yields what a fit may not be meant to do, with the remedy.

    Args:
        settings: What the curriculum is made of.
        run: Length of the fit.
        arguments: What `fit` was called with, as far as that is known.
    """
    if arguments.get("class_weight") is not None:
        yield (
            "`class_weight` of `fit` does not reach a curriculum's data set. "
            "Use `curriculum.dataset(class_weight=...)`."
        )
    dropped = _dropped(settings, run)
    if dropped > 0.0:
        yield (
            f"the pacing ends below 1, so {dropped:.0%} of the samples are "
            "dropped for good: that gained most with wrong labels and cost 5 "
            "to 10 points of accuracy on clean ones. Let `pacing` end at 1 "
            "unless many labels are wrong."
        )


def _dropped(settings: CurriculumSettings, run: RunLength) -> float:
    ordering = settings.ordering
    if isinstance(ordering, Shuffle | OnePass):
        return 0.0
    if isinstance(ordering, SelfPaced) and ordering.initial_age is not None:
        return 0.0
    return 1.0 - settings.pacing.at(int(run.total or 0), run)


def _is_plain(ordering: Ordering) -> bool:
    return not isinstance(ordering, SelfPaced) or (
        ordering.kind == "hard" and ordering.initial_age is None
    )
