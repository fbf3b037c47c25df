"""Curriculum in `fit`: what it shows, scores and reports."""

import copy

import keras
import numpy as np
import pytest
from callback_tools.curriculum import SCORES

from keras_netopt import curriculum as engine
from keras_netopt.callbacks import Curriculum
from keras_netopt.schedules import Linear


def test_easy_samples_come_first_and_all_in_the_end(make, train):
    curriculum = make()
    _, history = train(curriculum)
    epochs, shown = curriculum.shown()
    hard = np.argsort(SCORES)[-16:]

    assert epochs.tolist() == [0, 1, 2, 3]
    assert shown.sum(axis=1).tolist() == [64] * 4
    assert not shown[:2, hard].any()
    assert shown[3, hard].any()
    assert history["curriculum_fraction"][:2] == [0.5, 0.5]
    difficulty = history["curriculum_difficulty"]
    assert difficulty[0] < difficulty[2] < difficulty[3]
    # The guard may bring a few harder ones of a class in.
    assert SCORES[np.argsort(SCORES)[31]] <= history["curriculum_threshold"][0]


def test_what_is_logged(make, train):
    _, history = train(make())
    assert {k for k in history if k.startswith("curriculum")} == {
        f"curriculum_{name}"
        for name in (
            "fraction",
            "threshold",
            "difficulty",
            "coverage",
            "weight_zero",
            "refresh_seconds",
        )
    }
    assert history["curriculum_weight_zero"][0] >= 0.5
    assert all(share >= 0.5 for share in history["curriculum_coverage"])


def test_first_epochs_keep_every_class(make, train, toy_data):
    """By the scores alone the first class would come alone."""
    labels = toy_data[1]
    sorted_by_class = labels * 64 + np.arange(64)
    pacing = Linear(initial=0.3, final=1.0, begin=0.0, end=1.0)
    guarded = make(difficulty=sorted_by_class, pacing=pacing)
    _, history = train(guarded)
    free = make(difficulty=sorted_by_class, pacing=pacing, labels=False)
    _, unguarded = train(free)

    assert min(history["curriculum_coverage"]) >= 0.5
    assert not free.shown()[1][0, labels == 2].any()
    assert guarded.shown()[1][0, labels == 2].any()
    assert "curriculum_coverage" not in unguarded


def test_the_report_tells_classes_scores_and_counts(make, train):
    curriculum = make()
    with pytest.raises(ValueError, match="Pass the callback to `fit`"):
        curriculum.report()
    train(curriculum, fit={"epochs": 2})
    report = curriculum.report()

    assert report.samples == 64
    assert report.drawn.sum() == 128
    assert report.never == int((report.drawn == 0).sum())
    assert sum(row.samples for row in report.classes) == 64
    assert sum(row.drawn for row in report.classes) == pytest.approx(1.0)
    assert report.quantiles[0.0] == 0.0
    assert "in play" in str(report)


def test_suspects_are_the_hardest(make):
    found = make().suspects(5)
    np.testing.assert_array_equal(SCORES[found], [63, 62, 61, 60, 59])
    with pytest.raises(ValueError, match="Received: count=0"):
        make().suspects(0)


def test_wrong_labels_are_among_the_suspects(make_mlp, toy_data):
    x, y = toy_data
    x = np.concatenate([x, x + 0.1])
    y = np.concatenate([y, y])
    wrong = np.arange(0, 128, 13)
    y[wrong] = (y[wrong] + 1) % 3
    x = x + 3.0 * np.eye(8, dtype="float32")[np.concatenate([toy_data[1]] * 2)]

    def build():
        return make_mlp(keras.optimizers.Adam(0.01))

    scored = engine.CrossScored(build, epochs=10, batch_size=16)
    suspects = Curriculum(x, y, difficulty=scored).suspects(len(wrong))
    assert len(set(suspects) & set(wrong)) >= len(wrong) - 2


def test_the_models_own_loss_is_refreshed(make, train, toy_data):
    x, y = toy_data
    seen = []

    class Recorder(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            scores = curriculum._course.scores
            seen.append(None if scores is None else scores.copy())
            if scores is not None:
                self.now = engine.sample_losses(self.model, x, y)
                np.testing.assert_allclose(
                    scores, self.now, rtol=1e-4, atol=1e-5
                )

    curriculum = make(difficulty="loss", warmup="1ep")
    _, history = train(curriculum, others=[Recorder()])
    assert seen[0] is None
    assert not np.array_equal(seen[1], seen[2])
    assert curriculum.shown()[1][0].all()
    times = history["curriculum_refresh_seconds"]
    assert times[0] == 0.0 and min(times[1:]) > 0.0


def test_scores_are_refreshed_no_more_often_than_asked(make, train):
    curriculum = make(difficulty="loss", warmup="0ep", refresh="2ep")
    _, history = train(curriculum)
    due = [t > 0.0 for t in history["curriculum_refresh_seconds"]]
    assert due == [True, False, True, False]


def test_scoring_leaves_the_training_alone(make, train):
    """Predictions in the middle of `fit` move neither weights nor metrics."""
    results = []
    for difficulty in (np.zeros(64), "loss"):
        curriculum = make(difficulty=difficulty, ordering="shuffle")
        curriculum._made_of = copy.copy(curriculum._made_of)
        if isinstance(difficulty, str):
            object.__setattr__(
                curriculum._made_of, "ordering", _ScoredShuffle()
            )
        model, history = train(curriculum)
        results.append((model.get_weights(), history["loss"]))
    for mine, other in zip(results[0][0], results[1][0], strict=True):
        np.testing.assert_array_equal(mine, other)
    assert results[0][1] == results[1][1]


class _ScoredShuffle(engine.Ordering):
    """All samples, but the scores are made."""

    def window(self, active, samples):
        return 0, samples

    def order(self, scores, seed):
        return np.arange(len(scores))


@pytest.mark.parametrize("name", ["el2n", "forgetting", "loss"])
def test_difficulties_by_name_train(name, make, train):
    curriculum = make(difficulty=name)
    train(curriculum)
    assert curriculum.scores.shape == (64,)
    assert np.ptp(curriculum.scores) > 0


def test_costly_scores_are_made_once(make, train, make_mlp):
    builds = []

    def build():
        builds.append(1)
        return make_mlp()

    curriculum = make(difficulty=engine.CrossScored(build, epochs=1))
    scores = curriculum.scores
    train(curriculum)
    train(copy.deepcopy(curriculum), data=curriculum.dataset(8))
    np.testing.assert_array_equal(curriculum.scores, scores)
    assert len(builds) == 2
