import functools
import gc

import keras
import pytest
from search import toys

from keras_netopt import search

# Each process imports Keras, which takes seconds, on JAX the fewest.
collect_ignore = (
    [] if keras.backend.backend() == "jax" else ["test_processes.py"]
)


@pytest.fixture(scope="module", autouse=True)
def no_garbage_collection():
    # Before each model KerasTuner and Keras collect garbage, for half a second.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gc, "collect", lambda *_: 0)
        yield


def make_tuner(
    directory, hypermodel=toys.build, oracle=None, project_name="p", **options
):
    return search.Tuner(
        hypermodel,
        oracle=oracle or toys.random_oracle(),
        directory=directory,
        project_name=project_name,
        **options,
    )


def search_toys(directory, *args, epochs=2, callbacks=(), **options):
    """Searches with the toy data and returns the tuner."""
    made = make_tuner(directory, *args, **options)
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


@pytest.fixture
def tuner(tmp_path):
    """Makes tuners of one project, as a program that is started again does."""
    return functools.partial(make_tuner, tmp_path)


@pytest.fixture
def run(tmp_path):
    """Searches with the toy data and returns the tuner."""
    return functools.partial(search_toys, tmp_path)


@pytest.fixture(scope="module")
def run_once(tmp_path_factory):
    """As `run`, for searches that several tests read."""
    return functools.partial(search_toys, tmp_path_factory.mktemp("shared"))
