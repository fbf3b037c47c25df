"""Shuffled masks: as sparse in each layer, of the same pattern."""

import keras
import numpy as np
import pytest

from keras_netopt.callbacks import Pruning
from keras_netopt.schedules import Constant
from keras_netopt.sparsity import (
    Block,
    KernelView,
    apply_masks,
    load_masks,
    shuffle_masks,
)
from keras_netopt.sparsity.control_masks import shuffle_units
from keras_netopt.sparsity.patterns import NM, resolve_pattern
from keras_netopt.training import MaskStore

L = keras.layers
X, Y = np.ones((8, 12), "float32"), np.zeros((8, 6), "float32")


def masked(pattern="unstructured"):
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [keras.Input((12,)), L.Dense(16, name="a"), L.Dense(6, name="b")]
    )
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    is_fixed = isinstance(pattern, NM) or pattern == "2:4"
    schedule = Constant(0.5)
    callback = Pruning(schedule, pattern=pattern, allocation="uniform")
    assert is_fixed is (callback.pruner.fixed_sparsity is not None)
    model.fit(X, Y, batch_size=4, verbose=0, callbacks=[callback])
    return model


PATTERNS = ("unstructured", "2:4", NM(1, 2, "output"), Block(4, 2), "channel")


@pytest.mark.parametrize("pattern", PATTERNS, ids=str)
def test_counts_values_and_patterns_stay(pattern):
    model = masked(pattern)
    store = MaskStore.of(model)
    before, values = store.masks(), store.weights()
    assert shuffle_masks(model, seed=5).selected_sparsity == 0.5
    now = store.masks()
    assert not all(np.array_equal(now[key], before[key]) for key in now)
    for key, mask in store.masks().items():
        weight = store.weights()[key]
        assert mask.sum() == before[key].sum()
        assert not weight[~mask].any()
        old = values[key][before[key]]
        assert np.array_equal(np.sort(weight[mask]), np.sort(old))
        one = resolve_pattern(pattern)
        if isinstance(one, NM):
            kept = one.runs(mask).sum(axis=0)
            assert set(kept) == {one.n}
        else:
            units = one.pool(mask.astype("float32"))
            assert np.array_equal(one.spread(units > 0, mask.shape), mask)
    # Training keeps the new masks; the old momentum is gone.
    shuffled = store.masks()
    model.fit(X, Y, batch_size=4, verbose=0)
    for key, mask in shuffled.items():
        assert not store.weights()[key][~mask].any()


def test_a_seed_repeats_and_initial_values_can_be_restored():
    found = []
    for seed in (0, 0, 1):
        model = masked()
        shuffle_masks(model, seed)
        found.append(MaskStore.of(model).masks())
    for key in found[0]:
        assert np.array_equal(found[0][key], found[1][key])
        assert not np.array_equal(found[0][key], found[2][key])
    ones = [np.ones_like(w) for w in model.get_weights()]
    model.set_weights(ones)
    apply_masks(model)
    for key, weight in MaskStore.of(model).weights().items():
        assert np.array_equal(weight, found[2][key])


def test_the_matrices_of_a_stack_keep_their_counts():
    view = KernelView((3, 4, 5), (1,), (0, 2), 4, 3)
    mask = np.zeros((3, 4, 5), bool)
    mask[0, :2], mask[1, 0, :3] = True, True
    rng = np.random.default_rng(0)
    found = shuffle_units(mask, view, resolve_pattern("unstructured"), rng)
    assert found.sum(axis=(1, 2)).tolist() == [10, 3, 0]
    assert not np.array_equal(found, mask)


def test_ragged_blocks_are_moved_among_their_size():
    view = KernelView((5, 3), (0,), (1,), 5)
    mask = np.zeros((5, 3), bool)
    mask[4] = True  # The ragged blocks.
    rng = np.random.default_rng(0)
    found = shuffle_units(mask, view, Block(4, 1), rng)
    assert found.sum() == 3 and np.array_equal(found, mask)


def test_models_without_masks_and_unknown_patterns_are_refused(tmp_path):
    model = masked("2:4")
    path = tmp_path / "masked.keras"
    model.save(path)
    again = keras.saving.load_model(path)
    with pytest.raises(ValueError, match="must have masks"):
        shuffle_masks(again)
    load_masks(again, path)
    before = MaskStore.of(again).masks()
    with pytest.raises(ValueError, match="`pattern` must name the pattern"):
        shuffle_masks(again)
    with pytest.raises(ValueError, match="must be the pattern of the masks"):
        shuffle_masks(again, pattern="channel")
    for key, mask in MaskStore.of(again).masks().items():
        assert np.array_equal(mask, before[key])
    assert shuffle_masks(again, pattern="2:4").selected_sparsity == 0.5
    with pytest.raises(TypeError, match="`seed`"):
        shuffle_masks(again, seed=0.5)


NOT_OF = {
    "2:4": ("unstructured", "another pattern"),
    "2:7": ("unstructured", "not divisible by 7"),
    "channel": ("unstructured", "another pattern"),
    "1:2": ("2:4", "another pattern"),
}


@pytest.mark.parametrize("pattern", (*NOT_OF, Block(2, 2)), ids=str)
def test_a_pattern_that_the_mask_has_not_is_refused(pattern):
    """Bug: an unstructured mask counts as 2:4; the shape error of NumPy."""
    own, text = NOT_OF.get(pattern, ("unstructured", "another pattern"))
    model = masked(own)
    before = MaskStore.of(model).masks()
    with pytest.raises(ValueError, match=f"must be the pattern .*{text}"):
        shuffle_masks(model, pattern=pattern)
    for key, mask in MaskStore.of(model).masks().items():
        assert np.array_equal(mask, before[key])


def test_runs_on_the_way_to_a_pattern_are_accepted():
    """Three of four are kept in every run, before two are."""
    model = masked("2:4")
    store = MaskStore.of(model)
    masks = {
        k: np.indices(m.shape)[0] % 4 != 1 for k, m in store.masks().items()
    }
    store.assign(masks)
    shuffle_masks(model)
    for mask in store.masks().values():
        assert set(NM(2, 4).runs(mask).sum(axis=0)) == {3}
