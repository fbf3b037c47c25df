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
from keras_netopt.curriculum.train_arm import train_arm
from keras_netopt.paired_difference import T95, paired_difference
from keras_netopt.schedules import Constant, Linear

SPARSE = keras.losses.SparseCategoricalCrossentropy
SCORES = np.arange(48) * 37 % 48
LATE = Constant(1.0, initial=0.5, begin=0.5)


@pytest.fixture
def data(toy_data):
    x, y = toy_data
    return x[:48], y[:48]


@pytest.fixture
def build_model():
    # Eager, because TensorFlow would trace every arm.
    eager = keras.backend.backend() == "tensorflow"

    def make():
        hidden = keras.layers.Dense(8, activation="relu")
        layers = [keras.Input((8,)), hidden, keras.layers.Dense(3)]
        model = keras.Sequential(layers)
        model.compile(
            keras.optimizers.SGD(0.1),
            SPARSE(True),
            metrics=["accuracy"],
            run_eagerly=eager,
        )
        return model

    return make


def compare(build_model, data, **changed):
    arguments = {
        "validation_data": [part[:16] for part in data],
        "difficulty": SCORES,
        "pacing": Linear(initial=0.5, final=1.0, end=0.5),
        "seeds": 2,
        "epochs": 2,
        "batch_size": 16,
        **changed,
    }
    return compare_arms(build_model, *data, **arguments)


@pytest.fixture
def report():
    return ArmComparison(
        {
            "shuffle": np.array([[0.5, 0.6], [0.5, 0.8], [0.6, 0.7]]),
            "random": np.array([[0.5, 0.6], [0.5, 0.6], [0.5, 0.6]]),
            "easy_first": np.array([[0.8, 0.8], [0.7, 0.9], [0.6, 0.7]]),
        },
        steps_per_epoch=50,
        monitor="val_accuracy",
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


def test_default_target_is_the_last_value_of_the_baseline(report):
    assert report.target_value == pytest.approx(0.7)
    assert report.steps_to_target("shuffle") == [None, 100, 100]
    assert report.steps_to_target("easy_first") == [50, 50, 100]
    assert report.steps_to_target("random") == [None, None, None]


def test_mode_min():
    curves = {"a": np.array([[3.0, 1.0]]), "b": np.array([[0.5, 2.0]])}
    report = ArmComparison(curves, 10, "val_loss", mode="min")
    assert report.steps_to_target("b") == [10]
    assert report.steps_to_target("a") == [20]


def test_the_table_marks_the_control_and_missed_targets(report):
    text = str(report)
    assert "3 arms, 3 paired seeds, 100 steps each" in text
    assert "random (control)" in text and "not reached" in text
    assert "0.8000 ± 0.1000" in text and "+0.1000 [-0.1484, +0.3484]" in text
    assert "100 (2 of 3)" in text
    assert max(map(len, text.splitlines())) <= 100


def test_the_plot_shows_every_arm(report, tmp_path):
    pytest.importorskip("matplotlib")
    curves, gaps = report.plot(tmp_path / "arms.png").axes
    assert (tmp_path / "arms.png").stat().st_size > 1000
    names = [text.get_text() for text in curves.get_legend().get_texts()]
    assert names == ["shuffle", "random", "easy_first"]
    assert [t.get_text() for t in gaps.get_yticklabels()] == names


def test_arms_of_a_seed_have_equal_initial_weights_and_steps(build_model, data):
    seen = {}

    class Recorder(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.weights = self.model.get_weights()
            self.steps = 0

        def on_train_batch_end(self, batch, logs=None):
            self.steps += 1

    for ordering in ("shuffle", "easy_first"):
        recorder = Recorder()
        _, session = train_arm(
            Arm(ordering),
            build_model,
            *data,
            seed=3,
            epochs=2,
            batch_size=16,
            validation_data=[part[:16] for part in data],
            callbacks=[recorder],
            difficulty=SCORES,
            pacing=Linear(initial=0.5, final=1.0, end=0.5),
        )
        assert recorder.steps == 6
        assert session.counts_by_epoch()[1].sum() == 6 * 16
        seen[ordering] = recorder.weights
    for mine, theirs in zip(*seen.values(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_arms_differ_and_repeat(build_model, data):
    arms = {
        "shuffle": "shuffle",
        "baby": BabySteps(4),
        "super": Arm(
            build_model=lambda: _with_loss(
                build_model(), SuperLoss(SPARSE(True))
            )
        ),
        "half": Arm(
            callbacks=lambda: [SelectiveBackprop(0.5, begin=0.0, interrupt=0)]
        ),
        "cap": Arm(
            "easy_first",
            curriculum_kwargs={"pacing": Constant(1.0, initial=0.5, begin=0.5)},
        ),
    }

    def run(names):
        chosen = {name: arms[name] for name in names}
        return compare(
            build_model, data, arms=chosen, seeds=[5], monitor="val_loss"
        )

    first, again = run(arms), run(["half", "baby"])

    assert first.mode == "min" and first.baseline == "shuffle"
    finals = [float(first.last_values(name)[0]) for name in arms]
    assert len(set(finals)) == len(finals)
    for name, curve in again.curves.items():
        np.testing.assert_array_equal(curve, first.curves[name])
    assert first.curves["baby"].shape == (1, 2)


def _with_loss(model, loss):
    model.compile(
        keras.optimizers.SGD(0.1), loss, metrics=["accuracy"], run_eagerly=True
    )
    return model


def test_seeds_are_rows_and_accuracy_is_the_default(build_model, data):
    report = compare(
        build_model, data, arms=("shuffle", "random"), epochs=1, target=0.4
    )
    assert report.monitor == "val_accuracy" and report.mode == "max"
    assert report.target_value == 0.4 and report.steps_per_epoch == 3
    first, second = report.curves["shuffle"]
    assert not np.array_equal(first, second)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"arms": "shuffle"}, "`arms` must be orderings, or a mapping"),
        ({"arms": ["shuffle"]}, "`arms` must hold at least two"),
        ({"arms": ["random", "random"]}, "`arms` must hold at least two"),
        ({"arms": ["shuffle", "hardest"]}, r"arms\['hardest'\]='hardest'"),
        ({"seeds": []}, "`seeds` must hold at least one seed"),
        ({"seeds": [1, 1]}, "`seeds` must hold at least one seed, without"),
        ({"seeds": 0}, "`seeds` must be an integer of at least 1"),
        ({"validation_data": None}, "`validation_data` must be given"),
        ({"difficulty": np.zeros(3)}, "`difficulty` must"),
    ],
)
def test_wrong_arguments_raise_before_training(data, changed, message):
    def never():
        raise AssertionError("trained")

    with pytest.raises((TypeError, ValueError), match=message):
        compare(never, data, **changed)


def test_a_model_instead_of_a_function_raises(make_mlp, data):
    with pytest.raises(TypeError, match="`build_model` must be a function"):
        compare(make_mlp(), data)
