"""Curriculum on tokens, a PyDataset and a DataLoader."""

import warnings

import keras
import numpy as np
import pytest
from callback_tools.curriculum import HALF, SCORES

from keras_netopt import curriculum as engine
from keras_netopt.callbacks import Curriculum


def test_token_weights_reach_the_step(lent_mlp):
    """Self-paced weights with a loss per token."""
    tokens = np.random.default_rng(0).integers(0, 5, (64, 6)).astype("int32")
    model = keras.Sequential(
        [
            keras.Input((6,), dtype="int32"),
            keras.layers.Embedding(5, 4),
            keras.layers.Dense(5),
        ]
    )
    model.compile(
        "sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    curriculum = Curriculum(tokens, tokens, ordering=engine.SelfPaced("linear"))
    history = model.fit(
        curriculum.dataset(8), epochs=2, verbose=0, callbacks=[curriculum]
    )
    assert np.isfinite(history.history["loss"]).all()
    assert curriculum.scores.shape == (64,)


def test_weights_of_the_wrong_shape_raise():
    """Targets of zeros and ones are taken for several labels per sample."""
    tokens = np.random.default_rng(0).integers(0, 2, (64, 6)).astype("int32")
    model = keras.Sequential(
        [keras.Input((6,), dtype="int32"), keras.layers.Embedding(2, 2)]
    )
    model.compile(
        "sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    # JAX and torch build a fresh model with a batch, and Keras would refuse.
    model.evaluate(tokens, tokens, verbose=0)
    curriculum = Curriculum(tokens, tokens, difficulty=SCORES)
    with pytest.raises(ValueError, match="`token_weights`.*be True for this"):
        model.fit(curriculum.dataset(8), verbose=0, callbacks=[curriculum])
    model.fit(
        curriculum.dataset(8, token_weights=True),
        verbose=0,
        callbacks=[curriculum],
    )


class Batches(keras.utils.PyDataset):
    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y

    def __len__(self):
        return 8

    def __getitem__(self, i):
        rows = slice(8 * i, 8 * i + 8)
        return self.x[rows], self.y[rows]


def test_batches_of_a_pydataset_are_ordered(toy_data, lent_mlp):
    curriculum = Curriculum(
        Batches(*toy_data), difficulty=np.arange(8.0)[::-1], pacing=HALF
    )
    lent_mlp().fit(
        curriculum.dataset(), epochs=2, verbose=0, callbacks=[curriculum]
    )
    counts = curriculum.sample_counts()[1]
    assert counts[0].tolist() == [0, 0, 0, 0, 2, 2, 2, 2]
    with pytest.raises(ValueError, match="left out for a PyDataset"):
        curriculum.dataset(16)


@pytest.mark.filterwarnings("ignore:Curriculum. all 8 difficulty scores are 1")
@pytest.mark.parametrize("difficulty", ["loss", "forgetting"])
def test_each_batch_of_a_pydataset_gets_a_score(difficulty, toy_data, lent_mlp):
    curriculum = Curriculum(Batches(*toy_data), difficulty=difficulty)
    lent_mlp().fit(
        curriculum.dataset(), epochs=3, verbose=0, callbacks=[curriculum]
    )
    assert curriculum.scores.shape == (8,)
    assert (curriculum.scores > 0).any()
    if difficulty == "loss":
        assert len(np.unique(curriculum.scores)) == 8


@pytest.mark.parametrize(
    "workers", [0, pytest.param(2, marks=pytest.mark.slow)]
)
def test_a_dataloader_follows_the_plan(workers, toy_data, echo_steps):
    torch = pytest.importorskip("torch")
    x = torch.arange(64.0)[:, None]
    data = torch.utils.data.TensorDataset(x, torch.zeros(64, 1))
    curriculum = Curriculum(data, difficulty=SCORES, pacing=HALF)
    loader = torch.utils.data.DataLoader(
        data, batch_sampler=curriculum.batch_sampler(8), num_workers=workers
    )
    model, steps = echo_steps
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`shuffle=True` was passed")
        warnings.filterwarnings("ignore", message=".*fork")
        model.fit(loader, epochs=3, verbose=0, callbacks=[curriculum, steps])

    assert [len(epoch) for epoch in steps.epochs] == [8, 8, 8]
    first = curriculum.sample_counts()[1][0]
    hard = np.argsort(SCORES)[32:]
    assert not first[hard].any()
    used = np.flatnonzero(first)
    assert np.mean(steps.epochs[0]) == pytest.approx(
        (first[used] * used).sum() / first.sum(), rel=1e-3
    )


def test_remainder_is_reported_or_kept(toy_data, lent_mlp):
    """The whole of the data each epoch; the loader's batches, too."""
    curriculum = Curriculum(*toy_data, ordering="shuffle")
    model = lent_mlp()
    for drop in (True, False):
        data = curriculum.dataset(24, drop_remainder=drop)
        model.fit(data, epochs=2, verbose=0, callbacks=[curriculum])
        counts = curriculum.sample_counts()[1]
        assert counts.sum(axis=1).tolist() == [48 if drop else 64] * 2
        assert counts.max() == 1
        assert curriculum.report().dropped == (16 if drop else 0)
        said = "16 samples fill no whole batch and are left out in each epoch"
        assert (said in str(curriculum.report())) is drop
    assert counts.min() == 1
    for drop, sizes in ((True, [24, 24]), (False, [24, 24, 16])):
        sampler = curriculum.batch_sampler(24, drop_remainder=drop)
        assert [len(batch) for batch in sampler] == sizes
        assert len(sampler) == len(sizes)


def test_ordering_with_weights_raises_for_a_dataloader(toy_data):
    curriculum = Curriculum(*toy_data, ordering=engine.SelfPaced("linear"))
    with pytest.raises(ValueError, match="not weight samples for a DataLoader"):
        curriculum.batch_sampler(8)


@pytest.fixture
def echo_steps():
    class Steps(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.epochs = []

        def on_epoch_begin(self, epoch, logs=None):
            self.epochs.append([])
            self.total = 0.0

        def on_train_batch_end(self, batch, logs=None):
            total = float(logs["loss"]) * (batch + 1)
            self.epochs[-1].append(total - self.total)
            self.total = total

    model = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(1, use_bias=False, kernel_initializer="ones"),
        ]
    )
    model.compile(keras.optimizers.SGD(0.0), "mae")
    return model, Steps()


class _Received(keras.callbacks.Callback):
    """Notes whether batches of the data set have weights."""

    def __init__(self, data_set):
        super().__init__()
        self.sizes, self._data_set = set(), data_set

    def on_epoch_begin(self, epoch, logs=None):
        self.sizes |= {len(batch) for batch in self._data_set}


def _train_on(curriculum, initial):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(8, "relu"),
            keras.layers.Dense(2),
        ]
    )
    model.set_weights(initial or model.get_weights())
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    start = model.get_weights()
    data_set = curriculum.dataset(8)
    received = _Received(data_set)
    history = model.fit(
        data_set, epochs=2, verbose=0, callbacks=[curriculum, received]
    )
    return start, model.get_weights(), history.history, received.sizes


def test_batches_without_weights_train_like_those_with_weights_of_one():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 4)).astype("float32"), np.arange(64) % 2
    settings = {"difficulty": SCORES, "ordering": "hard_first"}
    start, bare, logs, sizes = _train_on(Curriculum(x, y, **settings), None)
    assert sizes == {2}
    ones = np.ones(64, "float32")
    _, weighted, other, sizes = _train_on(
        Curriculum(x, y, sample_weight=ones, **settings), start
    )
    assert sizes == {3}
    for one, two in zip(bare, weighted, strict=True):
        np.testing.assert_array_equal(one, two)
    assert logs["loss"] == other["loss"]
    assert logs["accuracy"] == other["accuracy"]
    assert not np.array_equal(start[0], bare[0])


def test_an_ordering_of_the_users_own_may_have_weights():
    class Halved(engine.Ordering):
        def weights(self, scores, fraction, epoch):
            return np.where(scores > np.median(scores), 0.5, 1.0)

    x, y = np.zeros((64, 4), "float32"), np.zeros(64, "int32")
    curriculum = Curriculum(x, y, difficulty=SCORES, ordering=Halved())
    assert _train_on(curriculum, None)[3] == {3}
