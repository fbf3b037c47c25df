"""`SparseTraining(regrow="straight_through")`, and n:m patterns."""

import keras
import numpy as np
import pytest
from callback_tools.pruning import fit, kernels

import keras_netopt as netopt
from keras_netopt.callbacks import Pruning, SparseTraining
from keras_netopt.schedules import Constant, Linear
from keras_netopt.sparsity import Block
from keras_netopt.training import MaskStore
from keras_netopt.training.dense_store import DenseStore

RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 20)).astype("float32")
Y = RNG.normal(size=(64, 4)).astype("float32")


def straight(sparsity=None, **options):
    return SparseTraining(
        sparsity, **{"regrow": "straight_through", "frequency": 3, **options}
    )


class Watch(keras.callbacks.Callback):
    """Copies kernels and dense weights after every batch."""

    def __init__(self):
        super().__init__()
        self.kernels, self.dense = [], []

    def on_train_batch_end(self, batch, logs=None):
        self.kernels.append(kernels(self.model))
        self.dense.append(DenseStore.of(self.model).masters())


def runs_of(kernel):
    return (kernel != 0).reshape(-1, 4, kernel.shape[1]).sum(axis=1)


@pytest.mark.parametrize(
    ("sparsity", "options"),
    [
        (0.8, {}),
        (0.7, {"allocation": "global", "decay": 0.01}),
        (None, {"pattern": "2:4", "decay": 2e-4}),
        (0.5, {"pattern": Block(2, 1), "allocation": "uniform"}),
        (0.5, {"pattern": "channel", "allocation": "global"}),
    ],
)
def test_every_batch_is_sparse_and_masks_follow_the_dense_weights(
    make_mlp, toy_data, sparsity, options
):
    watch = Watch()
    optimizer = keras.optimizers.Adam(0.05)
    callback = straight(sparsity, **options)
    fit(make_mlp(optimizer), toy_data, callback, watch)
    total = sum(kernel.size for kernel in watch.kernels[0])
    counts = [sum(np.count_nonzero(k) for k in one) for one in watch.kernels]
    wanted = total * (1 - (sparsity or 0.5))
    assert len(counts) == 16
    assert set(counts) == {counts[0]} and abs(counts[0] - wanted) <= 10
    places = [[k != 0 for k in one] for one in watch.kernels]
    moved = [
        i
        for i, (a, b) in enumerate(
            zip(places[:-1], places[1:], strict=True), start=2
        )
        if any((one != two).any() for one, two in zip(a, b, strict=True))
    ]
    assert set(moved) <= {3, 6, 9}  # Fixed from step 12 on.
    # A relu gives a channel of zeros no gradient: whole ones may stay.
    assert moved or options.get("pattern") == "channel"
    for one, dense in zip(watch.kernels, watch.dense, strict=True):
        for kernel, full in zip(one, dense.values(), strict=True):
            np.testing.assert_array_equal(
                kernel[kernel != 0], full[kernel != 0]
            )
            assert full.all()
    if options.get("pattern") == "2:4":
        assert all(
            (runs_of(k) == 2).all() for one in watch.kernels for k in one
        )


def test_sr_ste_equals_the_numpy_reference():
    """2:4 from the first step on: the two largest of four dense weights."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [keras.Input((20,)), keras.layers.Dense(4, use_bias=False)]
    )
    model.compile(keras.optimizers.SGD(0.1), "mse")
    dense = model.get_weights()[0]
    to_the_end = Constant(0.3, end=1.0)
    callback = straight(
        pattern="2:4", decay=0.05, frequency=1, drop_fraction=to_the_end
    )
    options = {"batch_size": 64, "epochs": 8, "shuffle": False}
    fit(model, (X, Y), callback, **options)

    def choose(weights):
        runs = np.abs(weights).reshape(5, 4, 4)
        return (runs.argsort(1).argsort(1) >= 2).reshape(20, 4)

    masks = []
    for _ in range(8):
        masks.append(choose(dense))
        gradient = X.T @ (X @ np.where(masks[-1], dense, 0) - Y) / 128
        dense -= 0.1 * (gradient + 0.05 * np.where(masks[-1], 0, dense))
    (found,) = DenseStore.of(model).masters().values()
    np.testing.assert_allclose(found, dense, atol=1e-6)
    np.testing.assert_allclose(
        model.get_weights()[0], np.where(choose(dense), dense, 0), atol=1e-6
    )
    assert (masks[0] != masks[-1]).any()


def test_a_run_resumes_bit_for_bit(make_mlp, toy_data, tmp_path):
    class Load(keras.callbacks.Callback):
        """As `BackupAndRestore` does."""

        def on_train_begin(self, logs=None):
            self.model.load_weights(tmp_path / "half.weights.h5")

    class Stop(keras.callbacks.Callback):
        """Interrupts the fit, whose length the masks depend on."""

        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    def train(model, *others, **options):
        callbacks = (straight(0.8), *others)
        fit(model, toy_data, *callbacks, shuffle=False, **options)

    whole, half, again = (make_mlp(dropout=0.0) for _ in range(3))
    train(whole, epochs=4)
    train(half, Stop(), epochs=4)
    half.save(tmp_path / "half.keras")
    half.save_weights(tmp_path / "half.weights.h5")
    loaded = keras.saving.load_model(tmp_path / "half.keras")
    netopt.sparsity.load_masks(loaded, tmp_path / "half.keras")
    again.optimizer.build(again.trainable_variables)
    for model, others in ((loaded, ()), (again, (Load(),))):
        train(model, *others, epochs=4, initial_epoch=2)
        for mine, theirs in zip(
            whole.get_weights(), model.get_weights(), strict=True
        ):
            np.testing.assert_array_equal(mine, theirs)


def test_averaged_weights_are_masked_at_the_end(make_mlp, toy_data):
    model = make_mlp(keras.optimizers.Adam(0.01, use_ema=True))
    fit(model, toy_data, straight(0.8, allocation="uniform"))
    assert [round((k == 0).mean(), 1) for k in kernels(model)] == [0.8, 0.8]


def test_another_way_of_regrowing_forgets_the_dense_weights(make_mlp, toy_data):
    """Else weights would grow with values from a training long ago."""
    model = make_mlp()
    fit(model, toy_data, straight(0.5), epochs=1)
    masks = MaskStore.of(model).masks()
    fit(model, toy_data, SparseTraining(0.5, regrow=None), epochs=1)
    assert DenseStore.of(model) is None
    for key, mask in MaskStore.of(model).masks().items():
        np.testing.assert_array_equal(mask, masks[key])
    assert sum((k == 0).sum() for k in kernels(model)) == sum(
        (~mask).sum() for mask in masks.values()
    )


def build_uneven():
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(8, name="uneven"),
            keras.layers.Dense(2, name="even"),
        ]
    )
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize("regrow", ["straight_through", None])
def test_n_of_m_from_the_start_fits_each_weight_or_names_it(regrow):
    data = (X[:, :6], Y[:, :2])
    model, before = build_uneven(), None
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"2:4 .*`uneven/kernel`.*6 .*exclude"):
        fit(model, data, SparseTraining(pattern="2:4", regrow=regrow))
    for mine, theirs in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    callback = SparseTraining(
        pattern="2:4", regrow=regrow, exclude="uneven", frequency=1
    )
    fit(model, data, callback, epochs=1)
    uneven, even = kernels(model)
    assert uneven.all() and (runs_of(even) == 2).all()


def test_arguments_that_do_not_fit_straight_through_masks():
    for options, name in [
        ({"decay": -1.0, "regrow": "straight_through"}, "decay"),
        ({"decay": 1e-3}, "decay"),
        ({"control": "shuffle_mask", "regrow": "straight_through"}, "control"),
    ]:
        with pytest.raises(ValueError, match=f"`{name}`.*Received: {name}="):
            SparseTraining(0.5, **options)


def test_gradual_pruning_passes_through_all_patterns(make_mlp, toy_data):
    """From 4:4 over 3:4 to 2:4; each mask lies within the one before."""
    seen = []

    class Collect(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(kernels(self.model))

    model = make_mlp(keras.optimizers.Adam(0.02))
    ramp = Linear(final=0.5, begin=2, end=12)
    callback = Pruning(ramp, pattern="2:4", frequency=2)
    fit(model, toy_data, callback, Collect())
    kept = [{int(n) for k in one for n in runs_of(k).ravel()} for one in seen]
    assert all(len(counts) == 1 for counts in kept)
    order = [counts.pop() for counts in kept]
    assert order == sorted(order, reverse=True) and set(order) == {4, 3, 2}
    for before, after in zip(seen[:-1], seen[1:], strict=True):
        for one, two in zip(before, after, strict=True):
            assert not two[one == 0].any()
