"""Sequence length warm-up on every backend."""

import keras
import numpy as np
import pytest
from keras.src.backend.common.symbolic_scope import in_symbolic_scope

from keras_netopt.callbacks import Curriculum
from keras_netopt.curriculum import SequenceLengthWarmup
from keras_netopt.points import RunLength
from keras_netopt.schedules import Constant

TOKENS = np.random.default_rng(0).integers(1, 5, (32, 8)).astype("int32")


class Counted(keras.losses.SparseCategoricalCrossentropy):
    """Python runs it once per trace, on torch in every step.

    Calls with symbolic tensors, which build a model, are not counted.
    """

    calls = 0
    shapes: set = set()

    def call(self, y_true, y_pred):
        type(self).calls += not in_symbolic_scope()
        self.shapes.add(tuple(y_pred.shape[:2]))
        return super().call(y_true, y_pred)


def train(warmup, epochs=3, y=TOKENS, **changed):
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            keras.layers.Embedding(5, 4),
            keras.layers.Dense(5),
        ]
    )
    Counted.calls, Counted.shapes = 0, set()
    model.compile("sgd", Counted(from_logits=True))
    curriculum = Curriculum(
        TOKENS, y, difficulty=np.arange(32), ordering="shuffle",
        sequence_length=warmup, **changed,
    )  # fmt: skip
    data = curriculum.dataset(8)
    history = model.fit(
        data, epochs=epochs, verbose=0, callbacks=[curriculum]
    ).history
    assert np.isfinite(history["loss"]).all()
    # The data set still has the plan of the last epoch.
    return [tokens.shape[1] for tokens, *_ in data]


def test_lengths_of_consecutive_epochs_train():
    """4, 6 and 8 tokens; one trace of the step per length."""
    warmup = SequenceLengthWarmup(4, step_size=2, end=1.0)
    lengths = warmup.fit_to_data(TOKENS, TOKENS).lengths(RunLength(4, 3), 0, 12)
    assert set(lengths) == {4, 6}
    last = train(SequenceLengthWarmup(4, step_size=2, end=0.9))

    assert len(last) == 4 and set(last) <= {6, 8}
    if keras.backend.backend() == "torch":
        assert {length for _, length in Counted.shapes} == {4, 6, 8}
    else:
        assert 0 < Counted.calls <= 3


def test_the_length_is_a_schedule_rounded_down():
    warmup = SequenceLengthWarmup(8, 64, step_size=8, end=0.5)
    run = RunLength(10, 4)
    found = np.concatenate([warmup.lengths(run, e, 10) for e in range(4)])
    assert found[0] == 8
    assert (np.diff(found) >= 0).all()
    assert (found[:20] % 8 == 0).all()
    assert (found[20:] == 64).all()
    assert found[10] == 32  # 8 + 56 / 2 = 36


@pytest.mark.parametrize(("longest", "most"), [(12, 8), (100, 8), (2048, 8)])
def test_default_step_size_gives_few_lengths(longest, most):
    data = np.zeros((1, longest), "int32")
    warmup = SequenceLengthWarmup(8, end=1.0).fit_to_data(data, data)
    found = set(warmup.lengths(RunLength(1000, 1), 0, 1000))
    assert 2 <= len(found) <= most + 1


def test_truncate_drops_the_rest():
    warmup = SequenceLengthWarmup(2, step_size=1).fit_to_data(TOKENS, TOKENS)
    weight = np.ones((32, 8))
    x, y, shorter = warmup.apply(
        {"tokens": TOKENS, "other": np.arange(32)}, TOKENS, weight, 3
    )
    np.testing.assert_array_equal(x["tokens"], TOKENS[:, :3])
    np.testing.assert_array_equal(x["other"], np.arange(32))
    np.testing.assert_array_equal(y, TOKENS[:, :3])
    assert shorter.shape == (32, 3)
    whole, *_ = warmup.apply(TOKENS, TOKENS, weight, 8)
    assert whole is TOKENS


def test_segment_makes_further_samples():
    """No token is lost if the length divides the full length."""
    warmup = SequenceLengthWarmup(2, step_size=2, mode="segment")
    warmup = warmup.fit_to_data(TOKENS, TOKENS)
    weight = np.arange(32.0)
    x, y, weights = warmup.apply(TOKENS, TOKENS, weight, 4)

    assert x.shape == (64, 4)
    np.testing.assert_array_equal(x.reshape(32, 8), TOKENS)
    np.testing.assert_array_equal(x, y)
    np.testing.assert_array_equal(weights, np.repeat(weight, 2))


def test_segments_train():
    train(SequenceLengthWarmup(2, step_size=2, end=0.9, mode="segment"))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"min_length": 0}, "`min_length` must be an integer of at least 1"),
        ({"max_length": 4}, "`max_length` must be at least `min_length`"),
        ({"step_size": 0}, "`step_size` must be an integer"),
        ({"end": "soon"}, "`end` must be a float"),
        ({"mode": "cut"}, "`mode` must be one of 'truncate', 'segment'"),
    ],
)
def test_wrong_settings_raise(arguments, text):
    with pytest.raises(ValueError, match=f"Argument {text}.*Received: "):
        SequenceLengthWarmup(**arguments)


def test_data_that_are_too_short_raise():
    with pytest.raises(ValueError, match="which have 8 steps.*Received: "):
        Curriculum(TOKENS, TOKENS, sequence_length=SequenceLengthWarmup(9))


def test_segment_needs_targets_per_step():
    warmup = SequenceLengthWarmup(4, mode="segment")
    with pytest.raises(ValueError, match='use mode="truncate".*Received: '):
        Curriculum(TOKENS, np.arange(32) % 2, sequence_length=warmup)


def test_it_works_with_a_pacing_function():
    last = train(
        SequenceLengthWarmup(4, end=0.5), pacing=Constant(1.0, initial=1.0)
    )
    assert last == [8] * 4
