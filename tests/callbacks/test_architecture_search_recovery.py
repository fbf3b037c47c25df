"""What an error or an interrupt leaves of a search."""

import keras
import numpy as np
import pytest
from callback_tools.supernets import Stop, StopAt, build_supernet, make_data

from keras_netopt import search
from keras_netopt.callbacks import ArchitectureSearch
from keras_netopt.search.supernet.architecture import read_architecture
from keras_netopt.search.supernet.subnet_evaluator import SubnetEvaluator

pytestmark = pytest.mark.filterwarnings(
    "ignore::keras_netopt.warnings.SearchCollapseWarning"
)


def darts(order=1):
    own = keras.optimizers.Adam(0.05, beta_1=0.5)
    return ArchitectureSearch("darts", order=order, architecture_optimizer=own)


def fit(model, *callbacks, epochs=2):
    data = search.dataset(*make_data(), batch_size=12)
    options = {"epochs": epochs, "verbose": 0, "callbacks": list(callbacks)}
    return model.fit(data, **options).history


@pytest.mark.parametrize("method", ["single_path", "darts"])
def test_a_search_that_fails_after_the_training_is_repeated_alone(
    method, tmp_path, monkeypatch
):
    """The backup was deleted before the evaluations."""
    folder = str(tmp_path / "backup")

    def train(model):
        component = darts() if method == "darts" else ArchitectureSearch()
        backup = keras.callbacks.BackupAndRestore(folder)
        history = fit(model, component, backup)
        return component, history

    eager = keras.backend.backend() == "tensorflow"
    with monkeypatch.context() as patch:

        def fail(*arguments, **options):
            raise Stop

        patch.setattr(SubnetEvaluator, "evaluate", fail)
        trained = build_supernet(edges=1, run_eagerly=eager)
        with pytest.raises(Stop):
            train(trained)
    assert np.isfinite(trained.predict(make_data()[0], verbose=0)).all()
    search.extract(trained)
    again = build_supernet(seed=8, edges=1, run_eagerly=eager)
    component, history = train(again)
    assert history == {}
    assert component.architecture == read_architecture(again)
    stem = [m.get_layer("stem").get_weights()[0] for m in (trained, again)]
    np.testing.assert_array_equal(*stem)


def test_reset_undoes_an_interrupted_search():
    model = build_supernet(edges=1)
    optimizer, component = model.optimizer, darts(2)
    data = search.dataset(*make_data(), batch_size=12, order=2)
    optimizer.build(model.trainable_variables)
    count = len(optimizer.variables)
    with pytest.raises(Stop):
        model.fit(data, verbose=0, callbacks=[component, StopAt(0, 1)])
    assert data.epoch == 0 and "compute_loss" in vars(model)
    component.reset()
    assert data.epoch is None and not data.trains_only
    assert "compute_loss" not in vars(model)
    assert len(optimizer.variables) == count
    fresh = build_supernet(edges=1)
    for name in ("stem", "head"):
        kernels = [m.get_layer(name).get_weights()[0] for m in (model, fresh)]
        np.testing.assert_array_equal(*kernels)
