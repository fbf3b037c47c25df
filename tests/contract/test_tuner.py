"""C16: copies of a component, as KerasTuner makes per trial."""

import copy
import gc
import time

import keras
import numpy as np
import pytest
from contract import callback_setting, probes, zoo
from contract.rows import EVERY, ONE_PER_COMPONENT, TOUCHING


@pytest.mark.check("C16")
@EVERY
def test_a_copy_holds_settings_only(setting, case):
    callback = setting.build(case)
    model = zoo.compiled(eager=True)
    fresh = copy.deepcopy(callback)
    beside = [other.build(case) for other in setting.beside]
    probes.fit(model, "mlp", [*beside, callback], epochs=1)
    used = copy.deepcopy(callback)

    for other in (fresh, used):
        assert type(other) is type(callback)
        assert other.get_config() == callback.get_config()
        assert other._model is None
        for name, value in vars(other).items():
            assert not isinstance(value, keras.Model), name
        for name in setting.kind.data_args:
            np.testing.assert_array_equal(
                getattr(other, name), getattr(callback, name)
            )
    assert not hasattr(used, "_selection")
    assert getattr(used, "_session", None) is None


@pytest.mark.check("C16")
@ONE_PER_COMPONENT
def test_copying_beside_a_large_model_is_quick(setting, case):
    """The default deep copy would copy the model."""
    callback = setting.build(case)
    model = keras.Sequential(
        [keras.Input((1000,)), keras.layers.Dense(1000, use_bias=False)]
    )
    callback.set_model(model)
    start = time.perf_counter()
    copy.deepcopy(callback)

    assert time.perf_counter() - start < 0.1
    assert model.count_params() == 1_000_000


def _search(setting, folder, rates):
    import keras_tuner

    found = {}

    class Tuner(keras_tuner.GridSearch):
        def run_trial(self, trial, *args, **kwargs):
            rate = trial.hyperparameters.get("rate")
            found[rate] = super().run_trial(trial, *args, **kwargs)
            return found[rate]

    models = {}

    def build(hp):
        rate = hp.Choice("rate", rates)
        model = zoo.compiled(optimizer=keras.optimizers.SGD(rate), eager=True)
        models[rate] = model
        return model

    tuner = Tuner(
        build,
        objective=keras_tuner.Objective("val_loss", "min"),
        max_trials=2,
        directory=folder,
        project_name="p",
    )
    case = callback_setting.case("mlp", folder)
    callbacks = setting.callbacks(case)
    x, y = zoo.data("mlp")
    given = {"x": x, "y": y, "batch_size": zoo.BATCH_SIZE, "shuffle": False}
    tuner.search(
        **probes.fed(callbacks, given),
        validation_data=(x, y),
        epochs=2,
        verbose=0,
        callbacks=callbacks,
    )
    assert all(
        getattr(callback, "_model", None) is None for callback in callbacks
    )
    return models


@pytest.mark.check("C16")
@pytest.mark.filterwarnings("ignore:currentThread:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:getName:DeprecationWarning")
@TOUCHING
def test_trials_of_a_tuner_share_one_instance(setting, tmp_path, monkeypatch):
    # Before each model KerasTuner and Keras collect garbage, for half a second.
    monkeypatch.setattr(gc, "collect", lambda *_: 0)
    rates = [0.05, 0.2]
    results = []
    for word, order in (("a", rates), ("b", rates[::-1])):
        folder = tmp_path / word
        folder.mkdir()
        results.append(_search(setting, folder, order))

    first, second = results
    assert set(first) == set(second) == set(rates)
    for rate in rates:
        before = zoo.build("mlp")
        if not setting.needs_callback:
            assert setting.effect(before, first[rate], None)
        assert probes.differ(
            probes.weights(before), probes.weights(first[rate])
        )
        for mine, theirs in zip(
            first[rate].get_weights(), second[rate].get_weights(), strict=True
        ):
            np.testing.assert_array_equal(mine, theirs)
