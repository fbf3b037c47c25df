"""`SparseTraining` keeps the number of weights while its masks move."""

import keras
import numpy as np
import pytest
from callback_tools.pruning import fit, kernels

import keras_netopt as netopt
from keras_netopt.callbacks import Pruning, SparseTraining
from keras_netopt.training import MaskStore
from keras_netopt.training.optimizers import find_slots

REGROW = ("random", "gradient", "momentum", None)


class Watch(keras.callbacks.Callback):
    """Writes down masks, weights and slots after every batch."""

    def __init__(self):
        super().__init__()
        self.masks, self.weights, self.slots = [], [], []

    def on_train_batch_end(self, batch, logs=None):
        model = self.model
        store = MaskStore.of(model)
        self.masks.append(store.masks())
        self.weights.append(store.weights())
        self.slots.append(
            {
                key: [
                    np.array(keras.ops.convert_to_numpy(slot))
                    for slot in find_slots(model.optimizer, store.variable(key))
                ]
                for key in store.keys
            }
        )


@pytest.mark.parametrize("regrow", REGROW)
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_every_batch_has_the_same_number_of_weights(
    make_mlp, toy_data, regrow, optimizer
):
    chosen = {
        "sgd": lambda: keras.optimizers.SGD(0.05, momentum=0.9),
        "adam": lambda: keras.optimizers.Adam(1e-2),
    }[optimizer]()
    watch = Watch()
    callback = SparseTraining(0.8, regrow=regrow, frequency=3)
    fit(make_mlp(chosen), toy_data, callback, watch)

    moved = 0
    for i, masks in enumerate(watch.masks):
        for key, mask in masks.items():
            first = watch.masks[0][key]
            assert mask.sum() == first.sum()
            assert not watch.weights[i][key][~mask].any()
            for slot in watch.slots[i][key]:
                assert not slot[~mask].any()
            if i:
                grown = mask & ~watch.masks[i - 1][key]
                moved += grown.sum()
                assert not watch.weights[i][key][grown].any()
                for slot in watch.slots[i][key]:
                    assert not slot[grown].any()
    assert (moved > 0) == (regrow is not None)


def test_the_last_quarter_trains_fixed_masks(make_mlp, toy_data):
    watch = Watch()
    fit(make_mlp("sgd"), toy_data, SparseTraining(0.5, frequency=1), watch)
    changes = [
        any(not np.array_equal(a[key], b[key]) for key in a)
        for a, b in zip(watch.masks[:-1], watch.masks[1:], strict=True)
    ]

    assert any(changes[:10]) and not any(changes[11:])


def test_layers_have_the_density_of_erk(make_mlp, toy_data):
    model = make_mlp("sgd")
    fit(model, toy_data, SparseTraining(0.6, regrow=None), epochs=1)
    shares = [float((kernel != 0).mean()) for kernel in kernels(model)]
    total = sum(kernel.size for kernel in kernels(model))
    kept = sum(np.count_nonzero(kernel) for kernel in kernels(model))

    assert abs(kept - 0.4 * total) <= len(shares)
    assert shares[-1] > shares[0]


def test_a_shuffled_mask_keeps_the_density_of_each_layer(make_mlp, toy_data):
    found, shuffled = (
        make_mlp("sgd"),
        make_mlp("sgd"),
    )
    options = {"regrow": None, "score": "magnitude", "allocation": "global"}
    fit(found, toy_data, SparseTraining(0.7, **options), epochs=1)
    fit(
        shuffled,
        toy_data,
        SparseTraining(0.7, **options, control="shuffle_mask"),
        epochs=1,
    )
    masks = [MaskStore.of(model).masks() for model in (found, shuffled)]

    assert [m.sum() for m in masks[0].values()] == [
        m.sum() for m in masks[1].values()
    ]
    assert any(
        not np.array_equal(mask, masks[1][key])
        for key, mask in masks[0].items()
    )


def test_a_second_fit_keeps_masks_and_moves_them_again(make_mlp, toy_data):
    model = make_mlp("sgd")
    callback = SparseTraining(0.5, frequency=4)
    fit(model, toy_data, callback)
    before = MaskStore.of(model).masks()
    watch = Watch()
    fit(model, toy_data, callback, watch)

    for key, mask in watch.masks[0].items():
        np.testing.assert_array_equal(mask, before[key])
    assert any(
        not np.array_equal(watch.masks[-1][key], before[key]) for key in before
    )


def test_a_pruned_model_goes_on_with_its_own_masks(make_mlp, toy_data):
    model = make_mlp("sgd")
    fit(model, toy_data, Pruning(0.5))
    before = MaskStore.of(model).masks()
    fit(model, toy_data, SparseTraining(0.5, regrow=None))

    for key, mask in MaskStore.of(model).masks().items():
        np.testing.assert_array_equal(mask, before[key])


def test_sparse_weights_without_masks_are_not_guessed(
    make_mlp, toy_data, tmp_path
):
    model = make_mlp("sgd")
    fit(model, toy_data, SparseTraining(0.5, frequency=2), epochs=2)
    model.save(tmp_path / "sparse.keras")
    again = keras.saving.load_model(tmp_path / "sparse.keras")
    with pytest.raises(ValueError, match="load_masks"):
        fit(again, toy_data, SparseTraining(0.5), initial_epoch=2)

    netopt.sparsity.load_masks(again, tmp_path / "sparse.keras")
    before = MaskStore.of(again).masks()
    watch = Watch()
    callback = SparseTraining(0.5, frequency=5)
    fit(again, toy_data, callback, watch, initial_epoch=2)
    # The update of step 5 is made; the next one is due at step 10.
    for key, mask in watch.masks[0].items():
        np.testing.assert_array_equal(mask, before[key])


@pytest.mark.parametrize(
    "options",
    [
        {"pattern": "channel", "frequency": 2},
        {"pattern": "2:4", "regrow": None},
    ],
    ids=["channel", "2:4"],
)
def test_masks_of_another_pattern_are_made_anew(make_mlp, toy_data, options):
    model = make_mlp("sgd")
    fit(model, toy_data, Pruning(0.5))
    sparsity = 0.5 if options["pattern"] == "channel" else None
    history = fit(model, toy_data, SparseTraining(sparsity, **options)).history

    for kernel in kernels(model)[:1]:
        kept = kernel != 0
        if sparsity is None:
            assert (kept.reshape(-1, 4, kept.shape[1]).sum(axis=1) <= 2).all()
        else:
            assert not kept.all() and kept[:, kept.any(axis=0)].mean() > 0.9
    total = sum(kernel.size for kernel in kernels(model))
    zero = sum(int((kernel == 0).sum()) for kernel in kernels(model))
    assert history["sparsity"][-1] == pytest.approx(zero / total, abs=0.02)


def test_weights_that_join_get_masks(make_mlp, toy_data):
    model = make_mlp("sgd")
    fit(model, toy_data, SparseTraining(0.8, include="first", regrow=None))
    share = np.mean(kernels(model)[0] == 0)
    whole = share * kernels(model)[0].size
    whole /= sum(kernel.size for kernel in kernels(model))
    fit(model, toy_data, SparseTraining(float(whole), regrow=None))

    assert all((kernel == 0).any() for kernel in kernels(model))


def test_masks_move_in_a_short_fit(make_mlp, toy_data):
    """The default of long fits would leave them where they are."""
    watch = Watch()
    fit(make_mlp("sgd"), toy_data, SparseTraining(0.5), watch)
    first, last = watch.masks[0], watch.masks[-1]

    assert any(not np.array_equal(first[key], last[key]) for key in first)
    with pytest.raises(ValueError, match=r"drop_fraction=0\.0"):
        SparseTraining(0.5, drop_fraction=0.0)


def test_each_matrix_of_a_stack_is_shuffled_by_itself(toy_data):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Reshape((4, 2)),
            keras.layers.EinsumDense("bgi,gio->bgo", output_shape=(4, 6)),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss)
    sparse = SparseTraining(
        0.5,
        regrow=None,
        allocation="uniform",
        control="shuffle_mask",
        include=keras.layers.EinsumDense,
    )
    fit(model, toy_data, sparse, epochs=1)
    (mask,) = MaskStore.of(model).masks().values()

    assert mask.sum(axis=(1, 2)).tolist() == [6, 6, 6, 6]


@pytest.mark.parametrize(
    ("regrow", "pattern"),
    [
        ("random", "unstructured"),
        ("random", "channel"),
        ("straight_through", "unstructured"),
        ("straight_through", "2:4"),
    ],
)
def test_restored_weights_of_an_earlier_epoch_are_kept(
    make_mlp, toy_data, regrow, pattern
):
    """Their masks have moved since; the best epoch must not be damaged."""

    class First(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["early"] = -epoch
            if epoch == 0:
                self.weights = self.model.get_weights()
                self.masks = MaskStore.of(self.model).masks()

    first = First()
    best = keras.callbacks.EarlyStopping(
        "early", mode="max", patience=9, restore_best_weights=True
    )
    model = make_mlp("sgd")
    sparse = SparseTraining(0.5, frequency=2, regrow=regrow, pattern=pattern)
    fit(model, toy_data, first, best, sparse)

    for kept, weight in zip(first.weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, weight)
    for key, mask in MaskStore.of(model).masks().items():
        assert mask.sum() == first.masks[key].sum()


def test_two_callbacks_of_masks_share_no_weight(make_mlp, toy_data):
    with pytest.raises(ValueError, match=r"Pruning, SparseTraining.*include"):
        fit(make_mlp("sgd"), toy_data, Pruning(0.5), SparseTraining(0.5))


def test_n_of_m_weights_do_not_move(make_mlp, toy_data):
    with pytest.raises(ValueError, match='`regrow` must be "straight_'):
        SparseTraining(pattern="2:4")
    model = make_mlp("sgd")
    fit(model, toy_data, SparseTraining(pattern="2:4", regrow=None), epochs=1)

    for kernel in kernels(model):
        runs = (kernel != 0).reshape(-1, 4, kernel.shape[1])
        assert (runs.sum(axis=1) == 2).all()
