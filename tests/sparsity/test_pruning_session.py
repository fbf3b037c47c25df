"""Statistics of gradients along a pruning run, without a trainer."""

import numpy as np
import pytest
from training.steps import apply_gradients

from keras_netopt.points import RunLength
from keras_netopt.schedules import Linear
from keras_netopt.sparsity import Pruner, select
from keras_netopt.sparsity.pruning_session import PruningSession


def session_of(model, score):
    schedule = Linear(final=0.5, begin=2, end=10)
    targets = select(model).targets
    run = RunLength(steps_per_epoch=10, epochs=1)
    pruner = Pruner.create(score)
    session = PruningSession(model, targets, pruner, schedule, run, frequency=4)
    session.resume(0)
    return session


@pytest.mark.parametrize("score", ["movement", "taylor"])
def test_only_movement_is_summed_over_all_updates(make_mlp, score):
    model = make_mlp("sgd")
    session = session_of(model, score)
    apply_gradients(model, 2)
    before = session.store.statistics()
    assert session.advance(6)

    assert session.share > 0
    for key, statistic in session.store.statistics().items():
        kept = before[key] * (score == "movement")
        assert before[key].any()
        np.testing.assert_array_equal(statistic, kept)


def test_a_resumed_run_continues_its_statistics(make_mlp):
    """Without a saved position, as after a new `compile`, it begins anew."""
    model = make_mlp("sgd")
    session = session_of(model, "taylor")
    apply_gradients(model, 2)
    before = session.store.statistics()
    session.resume(0, session.get_state())
    for key, statistic in session.store.statistics().items():
        np.testing.assert_array_equal(statistic, before[key])
    session.resume(0)

    assert not any(s.any() for s in session.store.statistics().values())
