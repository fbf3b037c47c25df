import dataclasses

import keras
import numpy as np
import pytest
from depth.exits import nets

import keras_netopt as netopt
from keras_netopt.depth.exits.choose_thresholds import settle
from keras_netopt.depth.exits.measured_exits import MeasuredExits
from keras_netopt.depth.exits.threshold_search import (
    evaluate_point,
    thresholds_for,
)


@pytest.fixture(scope="session")
def data():
    return nets.make_data(512)


@pytest.fixture(scope="session")
def held_out():
    return nets.make_data(200, seed=1)


@pytest.fixture(scope="session")
def trained(data):
    """Three answers, the last the best; nobody may change its weights."""
    keras.utils.set_random_seed(0)
    model = netopt.depth.add_exits(
        nets.residual_net(),
        at=["first", "second"],
        heads=[nets.flat_head(), nets.flat_head()],
    )
    nets.compiled(model).fit(*data, epochs=5, batch_size=64, verbose=0)
    return model


@pytest.fixture(scope="session")
def exits(trained, held_out):
    """Two fifths leave first, then as many as go to the end."""
    state = netopt.depth.calibrate(trained, *held_out, max_macs=2000).state
    found = trained.predict(held_out[0], verbose=0)
    answers = [found[name] for name in trained.exit_names]
    measured = MeasuredExits.of(answers, held_out[1], "confidence")
    chosen = thresholds_for(measured.scores, (0.4, 0.3, 0.3))
    thresholds = settle(measured.scores, chosen)
    costs = np.array(state.costs.by_exit)
    point = evaluate_point(measured.scores, measured.correct, costs, thresholds)
    rule = dataclasses.replace(state.rule, thresholds=thresholds)
    return netopt.depth.CalibratedExits(
        trained,
        dataclasses.replace(state, rule=rule, point=point),
        data=held_out,
    )
