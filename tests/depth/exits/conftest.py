import dataclasses

import keras
import numpy as np
import pytest
from depth.exits import nets

import keras_netopt as netopt
from keras_netopt.depth.exits.choose_thresholds import center_thresholds
from keras_netopt.depth.exits.measured_exits import MeasuredExits
from keras_netopt.depth.exits.threshold_search import (
    evaluate_thresholds,
    thresholds_for_fractions,
)

# LiteRT files are written on the TensorFlow backend only.
if nets.BACKEND != "tensorflow":
    collect_ignore = ["test_export_exits.py"]


@pytest.fixture(scope="session")
def data():
    return nets.make_data(512)


@pytest.fixture(scope="session")
def held_out():
    return nets.make_data(200, seed=1)


@pytest.fixture(scope="session")
def trained(data):
    """Three exits, the last the best; tests must not change its weights."""
    keras.utils.set_random_seed(0)
    model = netopt.depth.add_exits(
        nets.residual_net(),
        layers=["first", "second"],
        heads=[nets.flat_head(), nets.flat_head()],
    )
    nets.compiled(model, metrics=None).fit(
        *data, epochs=5, batch_size=64, verbose=0
    )
    return model


@pytest.fixture(scope="session")
def exits(trained, held_out):
    """Exit fractions 0.4, 0.3 and 0.3."""
    calibration = netopt.depth.calibrate(
        trained, *held_out, max_macs=2000
    ).report()
    found = trained.predict(held_out[0], verbose=0)
    outputs = [found[name] for name in trained.exit_names]
    measured = MeasuredExits.from_outputs(outputs, held_out[1], "confidence")
    chosen = thresholds_for_fractions(measured.scores, (0.4, 0.3, 0.3))
    thresholds = center_thresholds(measured.scores, chosen)
    costs = np.array(calibration.costs.by_exit)
    point = evaluate_thresholds(
        measured.scores, measured.correct, costs, thresholds
    )
    rule = dataclasses.replace(calibration.rule, thresholds=thresholds)
    return netopt.depth.CalibratedExits(
        trained,
        dataclasses.replace(calibration, rule=rule, point=point),
        validation_data=held_out,
    )
