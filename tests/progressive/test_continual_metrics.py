import numpy as np
import pytest

from keras_netopt.progressive import continual_metrics

pytestmark = pytest.mark.no_backend

TABLE = np.array(
    [
        [0.90, 0.30, 0.20],
        [0.80, 0.85, 0.25],
        [0.60, 0.95, 0.70],
    ]
)


def test_definitions():
    found = continual_metrics(TABLE, baseline=[0.5, 0.1, 0.1])

    assert found.average_accuracy == pytest.approx((0.6 + 0.95 + 0.7) / 3)
    assert found.backward_transfer == pytest.approx((-0.3 + 0.1) / 2)
    assert found.forward_transfer == pytest.approx((0.2 + 0.15) / 2)
    assert found.forgetting == pytest.approx((0.3, -0.1))


def test_forgetting_starts_at_the_best_accuracy_not_at_the_first():
    table = TABLE.copy()
    table[1, 0] = 0.99
    assert continual_metrics(table).forgetting[0] == pytest.approx(0.39)
    table[0, 1] = 1.0  # Before the task was trained.
    assert continual_metrics(table).forgetting[1] == pytest.approx(-0.1)


def test_a_progressive_network_forgets_exactly_nothing():
    table = np.tril(np.ones((3, 3))) * [0.9, 0.8, 0.7]
    table[np.triu_indices(3, 1)] = np.nan
    found = continual_metrics(table, tasks=["a", "b", "c"])
    assert (found.backward_transfer, found.forgetting) == (0.0, (0.0, 0.0))
    assert found.forward_transfer is None
    text = str(found)
    assert "backward transfer +0.0000" in text and "forward" not in text


def test_one_task_has_neither_transfer_nor_forgetting():
    found = continual_metrics([[0.9]], baseline=[0.1])
    assert (found.backward_transfer, found.forward_transfer) == (None, None)
    assert found.forgetting == () and "0.9000" in str(found)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"accuracies": [0.5, 0.6]}, "must be a square array"),
        ({"accuracies": []}, "must be a square array"),
        ({"accuracies": "high"}, "must be a square array"),
        ({"accuracies": [[0.5, 0.1], [np.nan, 0.5]]}, "on and below the diag"),
        ({"tasks": ["a", "a", "b"]}, "3 different names"),
        ({"tasks": "abc"}, "3 different names"),
        ({"baseline": [0.1, 0.1]}, "3 finite numbers"),
        ({"baseline": [0.1, 0.1, np.nan]}, "3 finite numbers"),
    ],
)
def test_wrong_arguments(changed, message):
    with pytest.raises(ValueError, match=message):
        continual_metrics(**{"accuracies": TABLE, **changed})
