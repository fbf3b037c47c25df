import keras
import numpy as np
import pytest

from keras_netopt.curriculum.select_samples import count_kept, select_samples

ops = keras.ops
LOSSES = np.array([0.3, 2.0, 0.1, 1.0, 0.7], "float32")


def selected(losses, keep_fraction, **options):
    options = {
        name: ops.convert_to_tensor(value)
        if isinstance(value, np.ndarray)
        else value
        for name, value in options.items()
    }
    found = select_samples(
        ops.convert_to_tensor(losses), keep_fraction, **options
    )
    return ops.convert_to_numpy(found).tolist()


@pytest.mark.parametrize(
    ("batch", "keep", "count"),
    [(64, 0.5, 32), (10, 0.7, 7), (100, 0.29, 29), (3, 0.1, 1), (5, 0.5, 2)],
)
def test_the_number_kept_is_rounded_down_and_at_least_one(batch, keep, count):
    assert count_kept(batch, keep) == count
    of_tensor = count_kept(ops.convert_to_tensor(batch), keep)
    assert int(ops.convert_to_numpy(of_tensor)) == count


def test_top_selects_the_largest_losses():
    assert sorted(selected(LOSSES, 0.5, method="top")) == [1, 3]


def test_rho_selects_the_largest_reducible_losses():
    floor = np.array([0.0, 1.9, 0.0, 0.9, 0.0], "float32")
    found = selected(LOSSES, 0.4, method="rho", irreducible_loss=floor)
    assert sorted(found) == [0, 4]


@pytest.mark.parametrize("shape", [(5,), (5, 3)])
def test_samples_of_weight_zero_are_selected_last(shape):
    weight = np.ones(shape, "float32")
    weight[1] = 0.0
    found = selected(LOSSES, 0.5, method="top", sample_weight=weight)
    assert sorted(found) == [3, 4]


def test_percentile_equals_sampling_of_numpy_without_replacement():
    """Compares how often each sample is included."""
    batch, keep, trials = 8, 0.5, 4000
    rng = np.random.default_rng(0)
    losses = rng.permutation(batch).astype("float32")
    noise = rng.random((trials, batch)).astype("float32")
    tensor = ops.convert_to_tensor(losses)
    indices = ops.convert_to_numpy(
        ops.vectorized_map(
            lambda one: select_samples(tensor, keep, noise=one),
            ops.convert_to_tensor(noise),
        )
    )
    assert (np.diff(np.sort(indices), axis=1) > 0).all()
    assert indices.shape == (trials, 4)
    assert indices[0].tolist() == selected(losses, keep, noise=noise[0])
    found = np.bincount(indices.ravel(), minlength=batch) / trials
    chance = (np.arange(batch) + 0.5) / batch
    chance = chance ** (1 / keep - 1)
    wanted = np.zeros(batch)
    for _ in range(trials):
        picked = rng.choice(batch, 4, replace=False, p=chance / chance.sum())
        wanted[picked] += 1 / trials
    np.testing.assert_allclose(found, wanted[losses.astype(int)], atol=0.035)


def test_percentile_with_equal_noise_keeps_the_largest_loss():
    noise = np.full(5, 0.5, "float32")
    assert selected(LOSSES, 0.2, noise=noise) == [1]
