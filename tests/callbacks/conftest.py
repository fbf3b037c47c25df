"""Fixtures that several files share."""

import pytest
from callback_tools.curriculum import HALF, SCORES

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
