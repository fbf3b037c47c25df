import gc

import pytest
from search import toys

from keras_netopt import search


@pytest.fixture
def tuner(tmp_path, monkeypatch):
    """Makes tuners of one project, as a program that is started again does."""

    # Before each model KerasTuner and Keras collect garbage, for half a second.
    monkeypatch.setattr(gc, "collect", lambda *_: 0)

    def make(hypermodel=toys.build, oracle=None, **options):
        chosen = {"directory": tmp_path, "project_name": "p", **options}
        return search.Tuner(
            hypermodel, oracle=oracle or toys.random_oracle(), **chosen
        )

    return make


@pytest.fixture
def run(tuner):
    """Searches with the toy data and returns the tuner."""

    def search_now(*args, epochs=2, callbacks=(), **options):
        made = tuner(*args, **options)
        data = {} if made.folds is not None else {"validation_split": 0.5}
        made.search(
            toys.X,
            toys.Y,
            batch_size=16,
            epochs=epochs,
            verbose=0,
            callbacks=list(callbacks),
            **data,
        )
        return made

    return search_now
