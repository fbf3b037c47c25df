"""Curriculum in `fit`: sample counts, scores, logs and report."""

import copy

import keras
import numpy as np
import pytest
from callback_tools.curriculum import SCORES

from keras_netopt import curriculum as engine
from keras_netopt.callbacks import Curriculum
from keras_netopt.schedules import Linear


def test_easy_samples_are_trained_on_first_and_all_at_the_end(make, train):
    curriculum = make()
    _, history = train(curriculum)
    epochs, counts = curriculum.sample_counts()
    hard = np.argsort(SCORES)[-16:]

    assert epochs.tolist() == [0, 1, 2, 3]
    assert counts.sum(axis=1).tolist() == [64] * 4
    assert not counts[:2, hard].any()
    assert counts[3, hard].any()
    assert history["curriculum_fraction"][:2] == [0.5, 0.5]
    difficulty = history["curriculum_mean_difficulty"]
    assert difficulty[0] < difficulty[2] < difficulty[3]
    # Class coverage may add a few harder samples.
    assert (
        SCORES[np.argsort(SCORES)[31]]
        <= history["curriculum_max_difficulty"][0]
    )


def test_log_keys(make, train):
    _, history = train(make())
    assert {k for k in history if k.startswith("curriculum")} == {
        f"curriculum_{name}"
        for name in (
            "fraction",
            "max_difficulty",
            "mean_difficulty",
            "class_coverage",
            "unused_fraction",
            "scoring_seconds",
        )
    }
    assert history["curriculum_unused_fraction"][0] >= 0.5
    assert all(share >= 0.5 for share in history["curriculum_class_coverage"])


def test_first_epochs_keep_every_class(make, train, toy_data):
    """By the scores alone the first epochs would hold one class only."""
    labels = toy_data[1]
    sorted_by_class = labels * 64 + np.arange(64)
    pacing = Linear(initial=0.3, final=1.0, begin=0.0, end=1.0)
    covered = make(difficulty=sorted_by_class, pacing=pacing)
    _, history = train(covered)
    free = make(difficulty=sorted_by_class, pacing=pacing, labels=False)
    _, uncovered = train(free)

    assert min(history["curriculum_class_coverage"]) >= 0.5
    assert not free.sample_counts()[1][0, labels == 2].any()
    assert covered.sample_counts()[1][0, labels == 2].any()
    assert "curriculum_class_coverage" not in uncovered


def test_report_has_class_shares_scores_and_counts(make, train):
    curriculum = make()
    with pytest.raises(
        ValueError, match="no planned epoch to report.*Received: Curriculum"
    ):
        curriculum.report()
    train(curriculum, fit={"epochs": 2})
    report = curriculum.report()

    assert report.samples == 64
    assert report.sample_counts.sum() == 128
    assert report.unused == int((report.sample_counts == 0).sum())
    assert sum(row.samples for row in report.classes) == 64
    assert sum(row.trained for row in report.classes) == pytest.approx(1.0)
    assert report.score_quantiles[0.0] == 0.0
    assert "samples active" in str(report)
    assert report.to_dict()["sample_counts"] == report.sample_counts.tolist()


@pytest.mark.no_backend
def test_hardest_samples_are_sorted_by_score(make):
    found = make().hardest_samples(5)
    np.testing.assert_array_equal(SCORES[found], [63, 62, 61, 60, 59])
    with pytest.raises(ValueError, match="Received: count=0"):
        make().hardest_samples(0)


def test_wrong_labels_are_among_the_hardest_samples(lent_mlp, toy_data):
    x, y = toy_data
    x = np.concatenate([x, x + 0.1])
    y = np.concatenate([y, y])
    wrong = np.arange(0, 128, 13)
    y[wrong] = (y[wrong] + 1) % 3
    x = x + 3.0 * np.eye(8, dtype="float32")[np.concatenate([toy_data[1]] * 2)]

    def build_model():
        model = lent_mlp()
        model.optimizer.learning_rate = 0.01
        return model

    scored = engine.CrossValidatedLoss(build_model, epochs=10, batch_size=16)
    hardest = Curriculum(x, y, difficulty=scored).hardest_samples(len(wrong))
    assert len(set(hardest) & set(wrong)) >= len(wrong) - 2


def test_scores_by_the_trained_model_are_updated_each_epoch(
    make, train, toy_data
):
    x, y = toy_data
    seen = []

    class Recorder(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 0:
                return
            seen.append(curriculum.scores.copy())
            now = engine.sample_losses(self.model, x, y)
            np.testing.assert_allclose(seen[-1], now, rtol=1e-4, atol=1e-5)

    curriculum = make(difficulty="loss", scoring_begin="1ep")
    _, history = train(curriculum, others=[Recorder()])
    assert not np.array_equal(seen[0], seen[1])
    assert curriculum.sample_counts()[1][0].all()
    times = history["curriculum_scoring_seconds"]
    assert times[0] == 0.0 and min(times[1:]) > 0.0


def test_scoring_interval_sets_the_epochs_with_scoring(make, train):
    curriculum = make(
        difficulty="loss", scoring_begin="0ep", scoring_interval="2ep"
    )
    _, history = train(curriculum)
    due = [t > 0.0 for t in history["curriculum_scoring_seconds"]]
    assert due == [True, False, True, False]


@keras.saving.register_keras_serializable("tests")
class Unordered(engine.Ordering):
    """All samples are active, in their own order; scores are computed."""

    def window(self, active, samples):
        return 0, samples

    def order(self, scores, seed):
        return np.arange(len(scores))


def test_scoring_does_not_change_the_training(make, train):
    """Predictions during `fit` change neither weights nor metrics."""
    results = []
    for difficulty in (SCORES, "loss"):
        curriculum = make(difficulty=difficulty, ordering=Unordered())
        model, history = train(curriculum)
        results.append((model.get_weights(), history["loss"]))
    assert np.ptp(curriculum.scores) > 0
    for mine, other in zip(results[0][0], results[1][0], strict=True):
        np.testing.assert_array_equal(mine, other)
    assert results[0][1] == results[1][1]


@pytest.mark.parametrize("name", ["el2n", "forgetting", "loss"])
def test_difficulties_by_name_train(name, make, train):
    curriculum = make(difficulty=name)
    if name == "el2n":
        assert curriculum.get_config()["difficulty"] == name
        curriculum = make(difficulty=engine.EL2N(runs=1))
    train(curriculum)
    assert curriculum.scores.shape == (64,)
    assert np.ptp(curriculum.scores) > 0


def test_expensive_scores_are_computed_once(make, train, lent_mlp):
    builds = []

    def build_model():
        builds.append(1)
        return lent_mlp()

    curriculum = make(
        difficulty=engine.CrossValidatedLoss(build_model, epochs=1)
    )
    scores = curriculum.scores
    train(curriculum)
    train(copy.deepcopy(curriculum), data=curriculum.dataset(8))
    np.testing.assert_array_equal(curriculum.scores, scores)
    assert len(builds) == 2
