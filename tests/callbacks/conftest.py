"""Fixtures that several files share."""

import numpy as np
import pytest
from callback_tools.curriculum import HALF, SCORES
from callback_tools.growing import BATCH, SAMPLES, build

from keras_netopt.callbacks import Curriculum


@pytest.fixture
def make(toy_data):
    """Builds a `Curriculum` of the toy data; arguments change its settings."""

    def build(**changed):
        x, y = toy_data
        return Curriculum(
            **{"x": x, "y": y, "difficulty": SCORES, "pacing": HALF, **changed}
        )

    return build


@pytest.fixture
def train(make_mlp):
    """Fits an MLP with a curriculum; returns the model and its history."""

    def run(curriculum, model=None, *, data=None, fit=None, others=(), **more):
        model = model or make_mlp(dropout=0.0)
        history = model.fit(
            data or curriculum.dataset(8, **more),
            **{"epochs": 4, "verbose": 0, **(fit or {})},
            callbacks=[curriculum, *others],
        )
        return model, history.history

    return run


@pytest.fixture(scope="module")
def data():
    """Inputs and classes for the small net that `fit` grows."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(SAMPLES, 20)).astype("float32")
    return x, (x[:, 0] * x[:, 1] > 0).astype("int32")


@pytest.fixture
def fit(data):
    """Fits a small net of `callback_tools.growing`; returns it."""

    def run(callbacks, model=None, epochs=6, **arguments):
        model = model or build()
        model.fit(
            *data,
            epochs=epochs,
            shuffle=False,
            verbose=0,
            callbacks=callbacks,
            **{"batch_size": BATCH, **arguments},
        )
        return model

    return run
