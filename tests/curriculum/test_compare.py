import keras
import numpy as np
import pytest

from keras_netopt.callbacks import SelectiveBackprop
from keras_netopt.curriculum import (
    Arm,
    ArmComparison,
    BabySteps,
    SuperLoss,
    compare_arms,
)
from keras_netopt.curriculum.arm_report import T95, paired_difference
from keras_netopt.curriculum.compare import run_arm
from keras_netopt.schedules import Constant, Linear

SPARSE = keras.losses.SparseCategoricalCrossentropy
SCORES = np.arange(64) * 37 % 64
LATE = Constant(1.0, initial=0.5, begin=0.5)


@pytest.fixture
def build():
    # TensorFlow would trace every arm.
    eager = keras.backend.backend() == "tensorflow"

    def make():
        hidden = keras.layers.Dense(8, activation="relu")
        layers = [keras.Input((8,)), hidden, keras.layers.Dense(3)]
        model = keras.Sequential(layers)
        model.compile(
            "adam", SPARSE(True), metrics=["accuracy"], run_eagerly=eager
        )
        return model

    return make


def compare(build, data, **changed):
    arguments = {
        "validation_data": data,
        "difficulty": SCORES,
        "pacing": Linear(initial=0.3, final=1.0, end=0.5),
        "seeds": 2,
        "epochs": 2,
        "batch_size": 16,
        **changed,
    }
    return compare_arms(build, *data, **arguments)


@pytest.fixture
def report():
    return ArmComparison(
        {
            "shuffle": np.array([[0.5, 0.6], [0.5, 0.8], [0.6, 0.7]]),
            "random": np.array([[0.5, 0.6], [0.5, 0.6], [0.5, 0.6]]),
            "easy_first": np.array([[0.8, 0.8], [0.7, 0.9], [0.6, 0.7]]),
        },
        steps_per_epoch=50,
        metric="val_accuracy",
    )


def test_differences_are_paired(report):
    random, easy = report.differences()
    assert (random.name, easy.name) == ("random", "easy_first")
    assert easy.mean == pytest.approx(0.1)
    # Gaps 0.2, 0.1, 0: sd 0.1, half a width of t(2) * 0.1 / sqrt(3).
    assert easy.low == pytest.approx(0.1 - 4.303 * 0.1 / 3**0.5)
    assert easy.high == pytest.approx(0.1 + 4.303 * 0.1 / 3**0.5)


def test_the_interval_narrows_with_seeds_and_needs_two():
    one = paired_difference("a", [0.3], [0.1])
    assert (one.low, one.high) == (None, None)
    gaps = np.tile([0.1, 0.2], 20)
    many = paired_difference("a", gaps, np.zeros(40))
    assert many.high - many.mean == pytest.approx(
        1.96 * gaps.std(ddof=1) / 40**0.5
    )
    assert list(T95) == sorted(T95, reverse=True) and len(T95) == 30


def test_steps_are_counted_to_what_the_baseline_reaches(report):
    assert report.target == pytest.approx(0.7)
    assert report.steps_to_target("shuffle") == [None, 100, 100]
    assert report.steps_to_target("easy_first") == [50, 50, 100]
    assert report.steps_to_target("random") == [None, None, None]


def test_a_loss_is_better_where_it_is_lower():
    curves = {"a": np.array([[3.0, 1.0]]), "b": np.array([[0.5, 2.0]])}
    report = ArmComparison(curves, 10, "val_loss", lower_is_better=True)
    assert report.steps_to_target("b") == [10]
    assert report.steps_to_target("a") == [20]


def test_the_table_names_the_control_and_what_was_not_reached(report):
    text = str(report)
    assert "3 arms, 3 paired seeds, 100 steps each" in text
    assert "random (control)" in text and "not reached" in text
    assert "0.8000 ± 0.1000" in text and "+0.1000 [-0.1484, +0.3484]" in text
    assert "100 (2 of 3)" in text
    assert max(map(len, text.splitlines())) <= 100


def test_the_picture_shows_every_arm(report, tmp_path):
    pytest.importorskip("matplotlib")
    curves, gaps = report.plot(tmp_path / "arms.png").axes
    assert (tmp_path / "arms.png").stat().st_size > 1000
    names = [text.get_text() for text in curves.get_legend().get_texts()]
    assert names == ["shuffle", "random", "easy_first"]
    assert [t.get_text() for t in gaps.get_yticklabels()] == names


def test_arms_of_a_seed_begin_alike_and_make_equal_steps(build, toy_data):
    seen = {}

    class Recorder(keras.callbacks.Callback):
        curriculum = None

        def on_train_begin(self, logs=None):
            self.weights = self.model.get_weights()
            self.steps = 0

        def on_train_batch_end(self, batch, logs=None):
            self.steps += 1

    for ordering in ("shuffle", "easy_first"):
        watch = Recorder()
        run_arm(
            Arm(ordering),
            build,
            *toy_data,
            seed=3,
            epochs=2,
            batch_size=16,
            validation_data=toy_data,
            callbacks=[watch],
            difficulty=SCORES,
            pacing=Linear(initial=0.3, final=1.0, end=0.5),
        )
        assert watch.steps == 8
        assert watch.curriculum.ordering == ordering
        seen[ordering] = watch.weights
    for mine, theirs in zip(*seen.values(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_arms_differ_and_repeat(build, toy_data):
    arms = {
        "shuffle": "shuffle",
        "baby": BabySteps(4),
        "super": Arm(
            build=lambda: _with_loss(build(), SuperLoss(SPARSE(True)))
        ),
        "half": Arm(
            callbacks=lambda: [SelectiveBackprop(0.5, begin=0.0, interrupt=0)]
        ),
        "cap": Arm(
            "easy_first",
            options={"pacing": Constant(1.0, initial=0.5, begin=0.5)},
        ),
    }
    first = compare(build, toy_data, arms=arms, seeds=[5], monitor="val_loss")
    again = compare(build, toy_data, arms=arms, seeds=[5], monitor="val_loss")

    assert first.lower_is_better and first.baseline == "shuffle"
    finals = [float(first.final(name)[0]) for name in arms]
    assert len(set(finals)) == len(finals)
    assert finals == [float(again.final(name)[0]) for name in arms]
    assert first.curves["baby"].shape == (1, 2)


def _with_loss(model, loss):
    model.compile("adam", loss, metrics=["accuracy"], run_eagerly=True)
    return model


def test_seeds_are_rows_and_accuracy_is_the_default(build, toy_data):
    report = compare(build, toy_data, arms=("shuffle", "random"), target=0.4)
    assert report.metric == "val_accuracy" and not report.lower_is_better
    assert report.target == 0.4 and report.steps_per_epoch == 4
    first, second = report.curves["shuffle"]
    assert not np.array_equal(first, second)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"arms": "shuffle"}, "`arms` must be orderings, or a mapping"),
        ({"arms": ["shuffle"]}, "`arms` must name at least two"),
        ({"arms": ["random", "random"]}, "`arms` must name at least two"),
        ({"arms": ["shuffle", "hardest"]}, r"arms\['hardest'\]='hardest'"),
        ({"seeds": []}, "`seeds` must hold at least one seed"),
        ({"seeds": [1, 1]}, "`seeds` must hold at least one seed, each once"),
        ({"seeds": 0}, "`seeds` must be an integer of at least 1"),
        ({"validation_data": None}, "`validation_data` must be given"),
        ({"difficulty": np.zeros(3)}, "`difficulty` must"),
    ],
)
def test_wrong_arguments_are_refused_before_training(
    toy_data, changed, message
):
    def never():
        raise AssertionError("trained")

    with pytest.raises((TypeError, ValueError), match=message):
        compare(never, toy_data, **changed)


def test_a_model_is_no_builder(make_mlp, toy_data):
    with pytest.raises(TypeError, match="`build` must be a function"):
        compare(make_mlp(), toy_data)
