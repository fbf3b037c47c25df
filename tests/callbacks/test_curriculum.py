"""Curriculum in `fit`: what it shows, keeps, tells and refuses."""

import copy
import warnings

import keras
import numpy as np
import pytest

from keras_netopt import curriculum as engine
from keras_netopt.callbacks import Curriculum
from keras_netopt.schedules import Constant, Linear
from keras_netopt.training import NoEffectWarning, NotIntendedUseWarning

SCORES = np.random.default_rng(1).permutation(64).astype("float64")
HALF = Linear(initial=0.5, final=1.0, begin=0.5, end=1.0)


@pytest.fixture
def make(toy_data):
    def build(**changed):
        x, y = toy_data
        return Curriculum(
            **{"x": x, "y": y, "difficulty": SCORES, "pacing": HALF, **changed}
        )

    return build


@pytest.fixture
def train(make_mlp):
    def run(curriculum, model=None, *, data=None, fit=None, others=(), **more):
        model = model or make_mlp(dropout=0.0)
        history = model.fit(
            data or curriculum.dataset(8, **more),
            **{"epochs": 4, "verbose": 0, **(fit or {})},
            callbacks=[curriculum, *others],
        )
        return model, history.history

    return run


def told(kind, records):
    return [str(w.message) for w in records if issubclass(w.category, kind)]


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

    class Watch(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            scores = curriculum._course.scores
            seen.append(None if scores is None else scores.copy())
            if scores is not None:
                self.now = engine.sample_losses(self.model, x, y)
                np.testing.assert_allclose(
                    scores, self.now, rtol=1e-4, atol=1e-5
                )

    curriculum = make(difficulty="loss", warmup="1ep")
    _, history = train(curriculum, others=[Watch()])
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
        if difficulty is not None and isinstance(difficulty, str):
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


def test_nothing_happens_on_other_data(make, make_mlp, toy_data):
    x, y = toy_data
    curriculum = make()
    with pytest.warns(NoEffectWarning) as records:
        make_mlp().fit(x, y, epochs=3, verbose=0, callbacks=[curriculum])
    (text,) = told(NoEffectWarning, records)
    assert text.startswith("Curriculum: `fit` trains on other data")
    assert "curriculum.dataset" in text


@pytest.mark.parametrize(
    ("changed", "remedy"),
    [
        ({"pacing": Constant(1.0, initial=1.0)}, "Give `pacing` an `initial`"),
        ({"difficulty": np.ones(64)}, "Choose another `difficulty`"),
    ],
)
def test_no_effect_is_told_once(changed, remedy, make, train):
    with pytest.warns(NoEffectWarning) as records:
        train(make(**changed))
    (text,) = told(NoEffectWarning, records)
    assert remedy in text


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"difficulty": "loss"},
        {"ordering": "shuffle", "pacing": Constant(1.0, initial=1.0)},
        {"ordering": "random"},
        {"ordering": engine.SelfPaced("linear")},
        {"ordering": engine.OnePass(4)},
        {"pacing": "step"},
    ],
)
def test_ordinary_runs_warn_of_nothing(changed, make, train):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        train(make(**changed))


def test_dropping_for_good_is_warned_of(make, train):
    pacing = Linear(initial=0.3, final=0.6, begin=0.0, end=0.5)
    with pytest.warns(NotIntendedUseWarning, match="40% of the samples"):
        train(make(pacing=pacing))


def test_class_weights_of_fit_are_warned_of(make, train):
    with pytest.warns(NotIntendedUseWarning, match="dataset.class_weight="):
        train(make(), fit={"class_weight": {0: 2.0}})


@pytest.mark.parametrize(
    ("fit", "text"),
    [
        ({"y": np.zeros(64)}, "`y` must go to `Curriculum`"),
        ({"sample_weight": np.ones(64)}, "`sample_weight` must go to"),
        ({"steps_per_epoch": 3}, "`steps_per_epoch` must be given to"),
    ],
)
def test_what_fit_gets_beside_the_data_set_is_refused(fit, text, make, train):
    with pytest.raises(ValueError, match=rf"Argument {text}.*Received: "):
        train(make(), fit=fit)


def test_less_than_a_batch_in_play_is_refused(make, train):
    pacing = Linear(initial=0.05, final=1.0, begin=0.0, end=0.5)
    with pytest.raises(ValueError, match="at least a batch of 8.*keeps 4 of"):
        train(make(pacing=pacing))


def test_a_replaced_data_set_is_refused(make, train):
    curriculum = make()
    old = curriculum.dataset(8)
    curriculum.dataset(16)
    with pytest.raises(ValueError, match="returned last.*an older one"):
        train(curriculum, data=old)


def test_a_difficulty_by_loss_needs_targets(toy_data):
    with pytest.raises(ValueError, match="`y` must hold targets.*y=None"):
        Curriculum(toy_data[0])
    Curriculum(toy_data[0], difficulty=SCORES)


def test_scores_that_never_differ_are_told_in_the_end(make, train):
    """Those of a model may be alike at first."""
    curriculum = make(x=np.zeros((64, 8)), y=np.zeros(64), difficulty="loss")
    with pytest.warns(NoEffectWarning) as records:
        train(curriculum)
    (text,) = told(NoEffectWarning, records)
    assert "nothing tells easy from hard" in text


def test_a_loss_without_values_for_samples_is_refused(make, make_mlp):
    def mean(y, predicted):
        return keras.ops.mean(predicted)

    model = make_mlp()
    model.compile("sgd", mean)
    curriculum = make(difficulty="loss", warmup="0ep")
    with pytest.raises(ValueError, match="one value a sample"):
        model.fit(curriculum.dataset(8), verbose=0, callbacks=[curriculum])


def test_copies_plan_for_the_data_of_the_original(make, train):
    curriculum = make()
    copied = copy.deepcopy(curriculum)
    train(copied, data=curriculum.dataset(8))
    assert len(copied.shown()[0]) == 4
    assert len(curriculum.shown()[0]) == 0
    again = copy.deepcopy(copied)
    assert len(again.shown()[0]) == 0
    assert again._model is None


def test_pickled_settings_make_an_equal_piece(make):
    import pickle

    curriculum = make()
    again = pickle.loads(pickle.dumps(curriculum))
    assert again.get_config() == curriculum.get_config()


def test_weights_of_tokens_reach_the_step(make_mlp):
    """Self-paced weights on a loss with a value for each token."""
    tokens = np.random.default_rng(0).integers(0, 5, (64, 6)).astype("int32")
    model = keras.Sequential(
        [
            keras.Input((6,), dtype="int32"),
            keras.layers.Embedding(5, 4),
            keras.layers.Dense(5),
        ]
    )
    model.compile(
        "adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    curriculum = Curriculum(tokens, tokens, ordering=engine.SelfPaced("linear"))
    history = model.fit(
        curriculum.dataset(8), epochs=3, verbose=0, callbacks=[curriculum]
    )
    assert np.isfinite(history.history["loss"]).all()
    assert curriculum.scores.shape == (64,)


def test_weights_of_the_wrong_shape_are_refused():
    """Zeros and ones look like several labels of a sample."""
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
    with pytest.raises(ValueError, match="`token_weights`.*be True here"):
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


def test_batches_of_a_pydataset_are_put_in_order(toy_data, make_mlp):
    curriculum = Curriculum(
        Batches(*toy_data), difficulty=np.arange(8.0)[::-1], pacing=HALF
    )
    make_mlp().fit(
        curriculum.dataset(), epochs=2, verbose=0, callbacks=[curriculum]
    )
    shown = curriculum.shown()[1]
    assert shown[0].tolist() == [0, 0, 0, 0, 2, 2, 2, 2]
    with pytest.raises(ValueError, match="left out for a PyDataset"):
        curriculum.dataset(16)


@pytest.mark.filterwarnings("ignore:Curriculum. all 8 scores are 1")
@pytest.mark.parametrize("difficulty", ["loss", "forgetting"])
def test_each_batch_of_a_pydataset_gets_a_score(difficulty, toy_data, make_mlp):
    curriculum = Curriculum(Batches(*toy_data), difficulty=difficulty)
    make_mlp().fit(
        curriculum.dataset(), epochs=3, verbose=0, callbacks=[curriculum]
    )
    assert curriculum.scores.shape == (8,)
    assert (curriculum.scores > 0).any()
    if difficulty == "loss":
        assert len(np.unique(curriculum.scores)) == 8


@pytest.mark.parametrize("workers", [0, 2])
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
    first = curriculum.shown()[1][0]
    hard = np.argsort(SCORES)[32:]
    assert not first[hard].any()
    drawn = np.flatnonzero(first)
    assert np.mean(steps.epochs[0]) == pytest.approx(
        (first[drawn] * drawn).sum() / first.sum(), rel=1e-3
    )


def test_weights_cannot_travel_through_a_dataloader(toy_data):
    curriculum = Curriculum(*toy_data, ordering=engine.SelfPaced("linear"))
    with pytest.raises(ValueError, match="no weights for a DataLoader"):
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


def test_saved_scores_are_used_again(make, tmp_path):
    path = tmp_path / "scores.npz"
    engine.save_scores(path, make().scores)
    again = make(difficulty=engine.load_scores(path))
    np.testing.assert_array_equal(again.scores, SCORES)
    with pytest.raises(ValueError, match="must end in '.npz'"):
        engine.save_scores(tmp_path / "scores.txt", SCORES)
    np.savez(tmp_path / "other.npz", a=1)
    with pytest.raises(ValueError, match="written by `save_scores`"):
        engine.load_scores(tmp_path / "other.npz")


def _half(make, make_mlp, path, curriculum, **fit):
    model = make_mlp()
    load = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: load.model.load_weights(path)
    )
    model.optimizer.build(model.trainable_variables)
    model.fit(
        curriculum.dataset(8),
        epochs=4,
        initial_epoch=2,
        verbose=0,
        callbacks=[load, curriculum],
    )
    return model


@pytest.fixture
def saved(make, make_mlp, tmp_path):
    path = tmp_path / "half.weights.h5"
    curriculum = make(difficulty="loss")
    model = make_mlp()
    save = keras.callbacks.ModelCheckpoint(
        path, save_weights_only=True, save_freq="epoch"
    )
    model.fit(
        curriculum.dataset(8),
        epochs=2,
        verbose=0,
        callbacks=[curriculum, save],
    )
    return path


def test_a_resumed_run_remembers_what_was_shown(saved, make, make_mlp):
    curriculum = make(difficulty="loss")
    _half(make, make_mlp, saved, curriculum)
    assert curriculum.shown()[0].tolist() == [0, 1, 2, 3]
    assert curriculum.report().drawn.sum() == 4 * 64


@pytest.mark.parametrize("difficulty", ["loss", "forgetting", "el2n"])
def test_scores_of_a_resumed_run_are_those_of_a_whole_one(
    difficulty, make, make_mlp, tmp_path
):
    """Counts and tables cannot be made again from the weights."""
    path = tmp_path / "half.weights.h5"
    save = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: (
            epoch == 1 and save.model.save_weights(path)
        )
    )
    whole, model = make(difficulty=difficulty, warmup="0ep"), make_mlp()
    model.fit(whole.dataset(8), epochs=4, verbose=0, callbacks=[whole, save])
    resumed = make(difficulty=difficulty, warmup="0ep")
    other = _half(make, make_mlp, path, resumed)

    np.testing.assert_array_equal(resumed.scores, whole.scores)
    np.testing.assert_array_equal(resumed.shown()[1], whole.shown()[1])
    for mine, theirs in zip(
        other.get_weights(), model.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("change", ["seed", "samples"])
def test_state_of_another_run_is_refused(
    change, saved, make, make_mlp, toy_data
):
    x, y = toy_data
    changed = {
        "seed": {"seed": 1},
        "samples": {"x": x[:48], "y": y[:48]},
    }[change]
    with pytest.raises(ValueError, match="saved state.*Received: "):
        _half(make, make_mlp, saved, make(**{"difficulty": "loss", **changed}))


def test_other_scores_than_the_saved_ones_are_refused(make, make_mlp, tmp_path):
    path = tmp_path / "half.weights.h5"
    curriculum, model = make(), make_mlp()
    model.fit(
        curriculum.dataset(8), epochs=2, verbose=0, callbacks=[curriculum]
    )
    model.save_weights(path)
    with pytest.raises(ValueError, match="scores of the saved.*Received: "):
        _half(make, make_mlp, path, make(difficulty=-SCORES))
    _half(make, make_mlp, path, make())


def test_an_epoch_cut_in_half_is_told(make, make_mlp, tmp_path):
    path = tmp_path / "middle.weights.h5"
    curriculum, model = make(), make_mlp()
    save = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: (
            save.model.save_weights(path) if batch == 3 else None
        )
    )
    model.fit(
        curriculum.dataset(8), epochs=3, verbose=0,
        callbacks=[curriculum, save],
    )  # fmt: skip
    with pytest.warns(NotIntendedUseWarning, match="middle of epoch 2"):
        _half(make, make_mlp, path, make())
