"""C1 to C3, C8, C12, C18, C19, C24, C26: effects on a training run."""

import functools
import math
import warnings

import keras
import numpy as np
import pytest
from contract import callback_setting, counts, probes, reference, settings, zoo
from contract.rows import (
    COMPONENTS,
    EVERY_QUICK,
    ONE_PER_COMPONENT,
    ONE_QUICK,
)
from contract.trials import KERAS_KEYS

from keras_netopt.training import MaskStore, NoEffectWarning


def cells():
    """One setting on every model, every setting on one; the others are slow."""
    found = []
    for setting in settings.CALLBACKS:
        for model in setting.models:
            is_quick = model == "mlp" or setting is settings.CALLBACKS[0]
            marks = () if is_quick else (pytest.mark.slow,)
            name = f"{setting}-{model}"
            found.append(pytest.param(setting, model, id=name, marks=marks))
    return found


@pytest.mark.check("C1")
@pytest.mark.parametrize(("setting", "model"), cells())
def test_trains_every_model(setting, model, trials):
    trial = trials.get(setting, model)

    assert trial.warnings == []
    assert probes.is_finite(trial.history)
    assert trial.keras_keys <= set(trial.history)
    assert len(trial.history["loss"]) == trial.epochs
    assert trial.has_effect
    assert all(
        mine is theirs
        for mine, theirs in zip(trial.model.layers, trial.layers, strict=True)
    )


@pytest.mark.check("C26")
@pytest.mark.parametrize("component", settings.COMPONENTS)
def test_the_keys_in_logs_are_those_declared(component, trials):
    found = set()
    for setting in settings.CALLBACKS:
        if setting.component != component:
            continue
        trial = trials.get(setting, "mlp")
        others = [
            key for other in setting.beside for key in other.kind.log_keys
        ]
        added = set(trial.history) - KERAS_KEYS - set(others)
        assert added <= set(trial.callback.log_names())
        found |= added
    assert found == set(trial.callback.log_names())


@pytest.mark.check("C2")
@EVERY_QUICK
def test_one_instance_trains_twice_and_training_continues_without_it(
    setting, case
):
    callbacks = setting.callbacks(case)
    first = zoo.light()
    history = probes.fit(first, "mlp", callbacks)
    result = probes.state(first)
    probes.fit(first, "mlp", callbacks)

    assert setting.effect(zoo.build("mlp"), first, callbacks[-1])
    then = probes.weights(first)
    assert probes.is_finite(probes.fit(first, "mlp", epochs=1))
    assert probes.differ(then, probes.weights(first))
    assert setting.effect(zoo.build("mlp"), first, callbacks[-1])
    fresh = zoo.light()
    again = probes.fit(fresh, "mlp", callbacks)
    assert probes.untimed(again) == probes.untimed(history)
    probes.assert_same(probes.state(fresh), result)


@pytest.mark.check("C3")
def test_components_without_a_neutral_setting_say_so():
    exempt = {s for s in COMPONENTS if "C3" in s.row.limits}
    assert exempt == {s for s in COMPONENTS if s.neutral is None}


@pytest.fixture(scope="module")
def plain_weights(tmp_path_factory):
    """Weights after training with the others beside a component alone."""

    @functools.cache
    def run(beside):
        folder = tmp_path_factory.mktemp("plain")
        model, case = zoo.light(), callback_setting.case("mlp", folder)
        keras.utils.set_random_seed(7)
        probes.fit(model, "mlp", [other.build(case) for other in beside])
        trained = probes.weights(model)
        assert probes.differ(trained, probes.weights(zoo.light()))
        return trained

    return run


# A trigger that is never due is the neutral setting of `Growing`.
@pytest.mark.filterwarnings(
    "ignore:.+does not learn from the teacher"
    ":keras_netopt.warnings.NoEffectWarning"
)
@pytest.mark.filterwarnings(
    "ignore:.+no action was:keras_netopt.warnings.NoEffectWarning"
)
@pytest.mark.check("C3")
@pytest.mark.parametrize(
    "setting", [s for s in COMPONENTS if s.neutral], ids=str
)
def test_neutral_settings_change_nothing(setting, plain_weights, case):
    treated = zoo.light()
    component = setting.build(case, setting.neutral(case))
    keras.utils.set_random_seed(7)
    probes.fit(treated, "mlp", setting.callbacks(case, component))

    probes.assert_same(probes.weights(treated), plain_weights(setting.beside))


@pytest.mark.check("C8")
@ONE_PER_COMPONENT
def test_no_effect_gives_one_warning(setting, tmp_path):
    build, remedy = settings.IDLE[setting.component]
    model, callbacks = build(tmp_path)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        probes.fit(model, "mlp", callbacks, epochs=3, batch_size=32)

    ours = [w for w in told if issubclass(w.category, NoEffectWarning)]
    assert len(ours) == 1
    text = str(ours[0].message)
    assert text.startswith(f"{setting.row.short_name}: ")
    assert remedy in text


@pytest.mark.check("C12")
@pytest.mark.parametrize(
    "setting", [s for s in settings.CALLBACKS if s.reference], ids=str
)
def test_results_equal_those_of_other_backends(setting, tmp_path):
    known = reference.known()[setting.name]
    found = reference.run(setting, tmp_path)

    assert found["zeros"] == known["zeros"]
    assert found["report"] == known["report"]
    assert np.allclose(found["logs"], known["logs"], atol=1e-6)
    np.testing.assert_allclose(found["weights"], known["weights"], atol=1e-4)


@pytest.mark.check("C18")
@ONE_QUICK
def test_evaluating_does_not_change_training(setting, case):
    """Inference inside and between `fit` calls is as without it."""
    results = []
    for inside in (True, False):
        keras.utils.set_random_seed(7)
        build = zoo.light if setting.row.touches else zoo.compiled
        model = build(eager=True)
        callbacks = setting.callbacks(case)
        between = callbacks if inside else []
        x, y = zoo.data("mlp")
        probes.fit(model, "mlp", callbacks, epochs=setting.whole(1))
        scores = model.evaluate(
            x, y, batch_size=64, verbose=0, callbacks=between
        )
        guesses = model.predict(x, batch_size=64, verbose=0, callbacks=between)
        model.train_on_batch(x, y)
        results.append((scores, guesses, probes.state(model)))

    (scores, guesses, state), (plain_scores, plain_guesses, plain) = results
    assert scores == plain_scores
    np.testing.assert_array_equal(guesses, plain_guesses)
    probes.assert_same(state, plain)
    assert setting.effect(zoo.build("mlp"), model, callbacks[-1])


@pytest.mark.check("C19")
@ONE_QUICK
def test_a_model_is_usable_after_an_exception_in_fit(setting, case):
    class Broken(Exception):
        pass

    def fail(model):
        raise Broken

    model, callbacks = zoo.light(), setting.callbacks(case)
    with pytest.raises(Broken):
        probes.fit(model, "mlp", [*callbacks, probes.AtBatch(6, fail)])

    carried = probes.carried(model)
    assert all(np.isfinite(v).all() for v in carried.values())
    assert math.isfinite(probes.predictions(model, "mlp").sum())
    again = setting.callbacks(case)
    assert probes.is_finite(probes.fit(model, "mlp", again))
    assert setting.effect(zoo.build("mlp"), model, again[-1])


@pytest.mark.check("C24")
@pytest.mark.parametrize(
    "setting", [s for s in settings.CALLBACKS if s.twin], ids=str
)
def test_the_function_equals_the_first_event(setting, case):
    """With a learning rate of 0 the first steps change no weight."""
    model = zoo.light(
        dropout=0.0, optimizer=keras.optimizers.SGD(0.0), eager=True
    )
    twin = zoo.compiled(dropout=0.0)
    arguments = {**setting.arguments(case), **setting.first_event}
    probes.fit(
        model,
        "mlp",
        [setting.build(case, arguments)],
        epochs=1,
        batch_size=zoo.SAMPLES // 2,
    )
    setting.twin(twin, case)

    for mine, theirs in zip(
        model.get_weights(), twin.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)
    assert MaskStore.of(twin) is None
    size = twin.count_params() - counts.zeros(twin)
    assert size != zoo.build("mlp").count_params()
