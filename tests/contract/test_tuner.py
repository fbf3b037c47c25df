"""C16: copies of a component, as KerasTuner makes per trial."""

import copy
import gc

import keras
import numpy as np
import pytest
from contract import callback_setting, probes, zoo
from contract.rows import EVERY, ONE_PER_COMPONENT, TOUCHING


@pytest.mark.check("C16")
@EVERY
def test_a_copy_holds_settings_only(setting, trials, case):
    trained = trials.get(setting, "mlp").callback
    for callback in (setting.build(case), trained):
        other = copy.deepcopy(callback)
        assert type(other) is type(callback)
        assert other.get_config() == callback.get_config()
        for name, value in vars(other).items():
            is_data = name in setting.kind.data_args
            assert is_data or not isinstance(value, keras.Model), name
        for name in setting.kind.data_args:
            np.testing.assert_array_equal(
                getattr(other, name), getattr(callback, name)
            )
    if hasattr(other, "report"):
        with pytest.raises(ValueError, match="report"):
            other.report()


class NotCopied(keras.layers.Layer):
    """Holds an array that must not be copied."""

    def __deepcopy__(self, memo):
        raise AssertionError("the model was copied")


@pytest.mark.check("C16")
@ONE_PER_COMPONENT
def test_copying_a_callback_does_not_copy_its_model(setting, case):
    callback = setting.build(case)
    model = keras.Sequential([keras.Input((4,)), NotCopied()])
    callback.set_model(model)

    assert type(copy.deepcopy(callback)) is type(callback)
    with pytest.raises(AssertionError, match="was copied"):
        copy.deepcopy(model.layers)


def _search(setting, folder, rates):
    """The models of a grid search with one instance of the callback."""
    import keras_tuner

    models = {}

    def build(hp):
        models[rate] = _model(rate := hp.Choice("rate", rates))
        return models[rate]

    tuner = keras_tuner.GridSearch(
        build,
        objective=keras_tuner.Objective("val_loss", "min"),
        max_trials=2,
        directory=folder,
        project_name="p",
    )
    callbacks = setting.callbacks(callback_setting.case("mlp", folder))
    tuner.search(**_arguments(callbacks))
    assert all(
        getattr(callback, "_model", None) is None for callback in callbacks
    )
    return models


def _model(rate):
    return zoo.light(optimizer=keras.optimizers.SGD(rate), eager=True)


def _arguments(callbacks):
    x, y = zoo.data("mlp")
    given = {"x": x, "y": y, "batch_size": 32, "shuffle": False}
    return {
        **probes.fed(callbacks, given),
        "validation_data": (x, y),
        "epochs": 2,
        "verbose": 0,
        "callbacks": callbacks,
    }


@pytest.mark.check("C16")
@pytest.mark.filterwarnings("ignore:currentThread:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:getName:DeprecationWarning")
@TOUCHING
def test_trials_of_a_tuner_share_one_instance(setting, tmp_path, monkeypatch):
    """The last trial is as a `fit` call with a callback of its own."""
    # Before each model KerasTuner and Keras collect garbage, for half a second.
    monkeypatch.setattr(gc, "collect", lambda *_: 0)
    (tmp_path / "search").mkdir()
    models = _search(setting, tmp_path / "search", [0.05, 0.2])
    last = list(models)[-1]
    alone = _model(last)
    callbacks = setting.callbacks(callback_setting.case("mlp", tmp_path))
    alone.fit(**_arguments(callbacks))

    assert len(models) == 2
    probes.assert_same(probes.weights(models[last]), probes.weights(alone))
    before = zoo.build("mlp")
    for found in models.values():
        if not setting.needs_callback:
            assert setting.effect(before, found, None)
        assert probes.differ(probes.weights(before), probes.weights(found))
