import keras
import numpy as np
import pytest

from keras_netopt.curriculum.selection import count_kept, select_samples

ops = keras.ops
LOSSES = np.array([0.3, 2.0, 0.1, 1.0, 0.7], "float32")


def chosen(losses, keep, **options):
    options = {
        name: ops.convert_to_tensor(value)
        if isinstance(value, np.ndarray)
        else value
        for name, value in options.items()
    }
    found = select_samples(ops.convert_to_tensor(losses), keep, **options)
    return ops.convert_to_numpy(found).tolist()


@pytest.mark.parametrize(
    ("batch", "keep", "count"),
    [(64, 0.5, 32), (10, 0.7, 7), (100, 0.29, 29), (3, 0.1, 1), (5, 0.5, 2)],
)
def test_the_share_is_rounded_down_but_never_to_nothing(batch, keep, count):
    assert count_kept(batch, keep) == count
    of_tensor = count_kept(ops.convert_to_tensor(batch), keep)
    assert int(ops.convert_to_numpy(of_tensor)) == count


def test_top_takes_the_largest_losses():
    assert sorted(chosen(LOSSES, 0.5, method="top")) == [1, 3]


def test_rho_takes_what_is_farthest_above_its_floor():
    floor = np.array([0.0, 1.9, 0.0, 0.9, 0.0], "float32")
    found = chosen(LOSSES, 0.4, method="rho", irreducible=floor)
    assert sorted(found) == [0, 4]


@pytest.mark.parametrize("shape", [(5,), (5, 3)])
def test_samples_without_weight_come_last(shape):
    weight = np.ones(shape, "float32")
    weight[1] = 0.0
    found = chosen(LOSSES, 0.5, method="top", weight=weight)
    assert sorted(found) == [3, 4]


def test_percentile_draws_as_numpy_does_without_replacement():
    """An inclusion is a sequence of draws, so the rule must be the same."""
    batch, keep, draws = 8, 0.5, 4000
    rng = np.random.default_rng(0)
    losses = rng.permutation(batch).astype("float32")
    found = np.zeros(batch)
    for noise in rng.random((draws, batch)).astype("float32"):
        places = chosen(losses, keep, noise=noise)
        assert len(set(places)) == 4
        found[places] += 1 / draws
    chance = (np.arange(batch) + 0.5) / batch
    chance = chance ** (1 / keep - 1)
    wanted = np.zeros(batch)
    for _ in range(draws):
        drawn = rng.choice(batch, 4, replace=False, p=chance / chance.sum())
        wanted[drawn] += 1 / draws
    np.testing.assert_allclose(found, wanted[losses.astype(int)], atol=0.035)


def test_percentile_keeps_what_is_hard_the_more_often_the_less_is_kept():
    noise = np.full(5, 0.5, "float32")
    assert chosen(LOSSES, 0.2, noise=noise) == [1]
