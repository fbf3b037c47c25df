import keras
import numpy as np
import pytest

from keras_netopt.sparsity import (
    NM,
    Block,
    Channel,
    KernelView,
    Unstructured,
    patterns,
)

pytestmark = pytest.mark.no_backend


@pytest.mark.parametrize(
    "short, pattern",
    [
        ("unstructured", Unstructured()),
        ("channel", Channel()),
        ("2:4", NM(2, 4)),
        ("1:16", NM(1, 16)),
        (Block(4, 1), Block(4, 1)),
    ],
)
def test_short_forms(short, pattern):
    assert patterns.resolve_pattern(short) == pattern


@pytest.mark.parametrize("pattern", ["2:", "4x1", 3, None, NM])
def test_unknown_pattern_lists_the_allowed_names(pattern):
    with pytest.raises(ValueError) as error:
        patterns.resolve_pattern(pattern)
    assert str(error.value) == (
        "Argument `pattern` must be one of 'unstructured', 'channel', 'n:m' "
        "as in '2:4', or a Block, Channel, NM or Unstructured. "
        f"Received: pattern={pattern!r}"
    )


@pytest.mark.parametrize(
    "pattern",
    [Unstructured(), Channel(), NM(2, 4, axis="output"), Block(4, 2, "max")],
)
def test_config_round_trip(pattern):
    config = keras.saving.serialize_keras_object(pattern)
    assert config["registered_name"] == f"keras_netopt>{type(pattern).__name__}"
    assert keras.saving.deserialize_keras_object(config) == pattern


def test_block_mean_counts_real_elements_at_the_edge():
    matrix = np.arange(15.0).reshape(5, 3)
    pooled = Block(2, 2).pool(matrix)
    assert pooled.tolist() == [[2.0, 3.5], [8.0, 9.5], [12.5, 14.0]]
    assert Block(2, 2).sizes((5, 3)).tolist() == [[4, 2], [4, 2], [2, 1]]


def test_block_max():
    matrix = -np.arange(15.0).reshape(5, 3)
    pooled = Block(2, 2, pooling="max").pool(matrix)
    assert pooled.tolist() == [[0.0, -2.0], [-6.0, -8.0], [-12.0, -14.0]]


def test_block_spread_undoes_pool():
    units = np.array([[1, 2], [3, 4], [5, 6]])
    assert Block(2, 2).spread(units, (5, 3)).tolist() == [
        [1, 1, 2],
        [1, 1, 2],
        [3, 3, 4],
        [3, 3, 4],
        [5, 5, 6],
    ]


def test_channel_sums_the_other_axes():
    matrix = np.array([[1.0, 4.0], [3.0, 2.0]])
    assert Channel().pool(matrix).tolist() == [[4.0, 6.0]]
    assert Channel().sizes((2, 2)).tolist() == [[2, 2]]


def test_nm_under_a_schedule_prunes_one_weight_of_a_run_at_a_time():
    kept = [NM(2, 4).kept(s) for s in (0.0, 0.2, 0.25, 0.26, 0.5, 0.9)]
    assert kept == [4, 4, 3, 3, 2, 2]


def test_nm_under_a_schedule_tolerates_rounding_of_binary_fractions():
    # 1 - 0.7 is 0.30000000000000004; times 10 it must stay 3.
    assert NM(1, 10).kept(0.7) == 3
    assert [NM(1, m).kept(1 - 1 / m) for m in range(2, 50)] == [1] * 48


def test_nm_runs_lie_along_the_axis():
    matrix = np.arange(16).reshape(4, 4)
    assert NM(1, 2).runs(matrix).T[0].tolist() == [0, 4]
    assert NM(1, 2, "output").runs(matrix).T[0].tolist() == [0, 1]
    for axis in ("input", "output"):
        pattern = NM(1, 2, axis)
        joined = pattern.join(pattern.runs(matrix), (4, 4))
        assert np.array_equal(joined, matrix)


def test_nm_returns_why_an_axis_does_not_fit():
    # 3 x 3 x 6: the window times the channels is divisible, a run is not.
    view = KernelView((3, 3, 6, 8), (0, 1, 2), (3,), 6)
    reason = "input axis of 6 is not divisible by 4"
    assert NM(2, 4).reason_to_skip(view) == reason
    assert NM(2, 4, "output").reason_to_skip(view) is None
    assert NM(2, 3).reason_to_skip(view) is None


@pytest.mark.parametrize(
    "make, error, message",
    [
        (
            lambda: NM(4, 4),
            ValueError,
            "Argument `n` must be below `m`: n of m weights are kept. "
            "Received: n=4, m=4",
        ),
        (
            lambda: NM(0, 4),
            ValueError,
            "Argument `n` must be an integer of at least 1. Received: n=0",
        ),
        (
            lambda: NM(2.0, 4),
            TypeError,
            "Argument `n` must be an integer of at least 1. Received: n=2.0",
        ),
        (
            lambda: NM(2, 4, axis=0),
            ValueError,
            "Argument `axis` must be one of 'input', 'output'. "
            "Received: axis=0",
        ),
        (
            lambda: Block(True, 1),
            TypeError,
            "Argument `h` must be an integer of at least 1. Received: h=True",
        ),
        (
            lambda: Block(4, 0),
            ValueError,
            "Argument `w` must be an integer of at least 1. Received: w=0",
        ),
        (
            lambda: Block(4, 1, pooling="sum"),
            ValueError,
            "Argument `pooling` must be one of 'mean', 'max'. "
            "Received: pooling='sum'",
        ),
    ],
)
def test_bad_arguments(make, error, message):
    with pytest.raises(error) as raised:
        make()
    assert str(raised.value) == message


def test_numpy_integers_are_accepted():
    assert Block(np.int64(4), np.int32(1)) == Block(4, 1)
