"""Fixtures that several files share."""

import keras
import numpy as np
import pytest
from callback_tools.curriculum import HALF, SCORES
from callback_tools.growing import BATCH, SAMPLES, build
from toy import build_mlp

from keras_netopt import sparsity
from keras_netopt.callbacks import Curriculum
from keras_netopt.training import MaskStore


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
def lent_mlp(lend):
    """As `make_mlp`; the step of a curriculum's batches is traced once."""

    def take(dropout=0.2):
        def build():
            return build_mlp(dropout=dropout)

        return lend(f"curriculum {dropout}", build)

    return take


@pytest.fixture
def masked_mlp(lend):
    """As `make_mlp`, with masks of ones that the traced step applies."""

    return lambda: lend("masked", lambda: build_mlp("sgd"), attach_masks)


def attach_masks(model):
    targets = sparsity.select(model).targets
    MaskStore.attach(model, {t.key: t.variable for t in targets})
    model.make_train_function()


@pytest.fixture
def ticket_mlp(lend):
    """As `masked_mlp`, with momentum; it may be lent again and again."""

    def build():
        return build_mlp(keras.optimizers.SGD(0.1, momentum=0.9))

    return lambda: lend("ticket", build, attach_masks)


@pytest.fixture
def train(lent_mlp):
    """Fits an MLP with a curriculum; returns the model and its history."""

    def run(curriculum, model=None, *, data=None, fit=None, others=(), **more):
        model = model or lent_mlp(dropout=0.0)
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
