"""C6, C7, C17, C21: saved state and released memory."""

import functools
import gc
import shutil
import weakref

import keras
import numpy as np
import pytest
from contract import (
    callback_setting,
    functions,
    probes,
    resume,
    settings,
    zoo,
)
from contract.rows import ONE_PER_COMPONENT, ONE_QUICK

from keras_netopt.callbacks import Pruning
from keras_netopt.schedules import Linear
from keras_netopt.training import MaskStore, recompile_keeping_state

BACKEND = keras.backend.backend()


@pytest.mark.check("C6")
def test_an_update_missing_in_the_file_is_repeated(tmp_path):
    """A file may be written before the update of the same step.

    Without dropout: torch draws random numbers between the last batch and the
    end of its epoch.
    """
    path = tmp_path / "early.weights.h5"
    schedule = Linear(final=0.5, begin=4, end=12)

    def train(*before, **fit):
        model = zoo.compiled(dropout=0.0, metrics=None)
        if fit:
            model.optimizer.build(model.trainable_variables)
        pruning = Pruning(schedule, frequency=4)
        recorder = resume.Recorder(pruning, tmp_path / "unused")
        callbacks = [*before, pruning, recorder]
        probes.fit(model, "mlp", callbacks, epochs=4, **fit)
        state = resume.without(probes.state(model), "checkpoint random")
        return state, recorder

    save = probes.AtBatch(8, lambda model: model.save_weights(path))
    whole, _ = train(save)
    load = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: load.model.load_weights(path)
    )
    resumed, recorder = train(load, initial_epoch=2)

    quarter, half = round(0.25 * 176), round(0.5 * 176)
    assert recorder.masked == [quarter] * 4 + [half] * 5
    probes.assert_same(resumed, whole)


@pytest.mark.check("C6")
def test_state_of_other_settings_is_refused(tmp_path):
    path = tmp_path / "half.weights.h5"
    model = zoo.compiled(metrics=None)
    probes.fit(model, "mlp", [Pruning(0.5)])
    model.save_weights(path)
    other = zoo.compiled(metrics=None)
    other.optimizer.build(other.trainable_variables)
    load = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: load.model.load_weights(path)
    )
    with pytest.raises(ValueError) as error:
        probes.fit(other, "mlp", [load, Pruning(0.7)], epochs=4)

    assert str(error.value) == (
        "The saved state belongs to a Pruning with other settings: "
        "sparsity=0.5. Use the same ones, or remove the checkpoint. "
        "Received: sparsity=0.7"
    )


class Reuse:
    """`fit` calls with a setting: again and again, anew, on another model."""

    def __init__(self, setting, case):
        loss = probes.CountedLoss(from_logits=True)
        model = zoo.build("mlp")
        model.compile("adam", loss, jit_compile=zoo.JIT)
        self.states = []

        self.live = []

        def fit(callbacks):
            probes.fit(model, "mlp", callbacks)
            variables = [(id(v), v.shape) for v in model.optimizer.variables]
            calls = loss.calls if BACKEND != "torch" else 0
            self.states.append((variables, calls))

        callbacks = setting.callbacks(case)
        fit(callbacks)
        self.live.append(_live_variables())
        fit(callbacks)
        fit(callbacks)
        self.live.append(_live_variables())
        fit(setting.callbacks(case))
        self.first = weakref.ref(model)
        second = zoo.light(eager=True)
        probes.fit(second, "mlp", callbacks, batch_size=zoo.SAMPLES // 2)
        self.moved = all(callback.model is second for callback in callbacks)


def _live_variables():
    gc.collect()
    return sum(issubclass(type(o), keras.Variable) for o in gc.get_objects())


@pytest.fixture(scope="module")
def reused(tmp_path_factory):
    gc.collect()
    gc.freeze()  # What other tests left need not be looked at again.

    def build(setting):
        folder = tmp_path_factory.mktemp("reused")
        return Reuse(setting, callback_setting.case("mlp", folder))

    return functools.cache(build)


@pytest.mark.check("C7")
@ONE_PER_COMPONENT
def test_attaching_again_adds_nothing(setting, reused):
    """torch has no traces: it runs Python at every step."""
    first, *others = reused(setting).states

    assert others == [first] * 3


@pytest.mark.check("C21")
@ONE_PER_COMPONENT
def test_three_fit_calls_hold_no_more_than_one(setting, reused):
    scenario = reused(setting)
    after_one, after_three = scenario.live
    first, *others = scenario.states[:3]

    assert after_three == after_one
    assert others == [first] * 2


@pytest.mark.check("C21")
@ONE_PER_COMPONENT
def test_models_are_released(setting, reused):
    scenario = reused(setting)
    gc.collect()

    assert scenario.moved
    assert scenario.first() is None


@pytest.fixture(scope="module")
def pruned():
    """A pruned model, for functions that change nothing."""
    return _pruned()


def _pruned():
    model = zoo.compiled(metrics=None)
    probes.fit(model, "mlp", [Pruning(0.5)])
    return model


@pytest.mark.check("C7")
@pytest.mark.parametrize(
    "setting",
    [
        # Two exports take long; C14 exports as well.
        pytest.param(s, marks=(pytest.mark.slow,) if s.tensorflow else ())
        for s in functions.FUNCTIONS
        if BACKEND == "tensorflow" or not s.tensorflow
    ],
    ids=str,
)
def test_applying_a_function_twice_is_applying_it_once(
    setting, trials, pruned, tmp_path
):
    trial = trials.get(settings.CALLBACKS[0], "mlp")
    shutil.copy(trial.folder / "model.keras", tmp_path / "pruned.keras")
    if not setting.is_pruned:
        model = zoo.compiled()
        model.optimizer.build(model.trainable_variables)
    else:
        model = _pruned() if setting.changes else pruned
        setting.prepare(model)
    original = probes.state(model)
    first = setting.call(model, tmp_path)
    once = probes.state(model)
    if setting.once:
        with pytest.raises(
            ValueError,
            match="must have (masks|masters|activation ranges|LoRA pairs)"
            "|LoRA already",
        ):
            setting.call(model, tmp_path)
    else:
        second = setting.call(model, tmp_path)
        assert str(second) == str(first)

    probes.assert_same(probes.state(model), once)
    changed = list(original) != list(once) or probes.differ(original, once)
    assert changed == setting.changes


class Freeze(keras.callbacks.Callback):
    """Freezes the first layer in epoch 1 and unfreezes it in epoch 2."""

    def __init__(self, slots):
        super().__init__()
        self.slots = slots
        self.hidden = {}
        self.steps = 0

    def on_epoch_begin(self, epoch, logs=None):
        if epoch not in (1, 2):
            return
        self.model.layers[0].trainable = epoch == 2
        out = self.model.layers[-1]
        before = _slots(self.model, out)
        recompile_keeping_state(self.model)
        self.hidden[epoch] = self.model.layers[0].get_weights()
        after = _slots(self.model, out)
        assert len(before) == 2 * self.slots  # A kernel and a bias.
        probes.assert_same(before, after)

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        store = MaskStore.of(self.model)
        if store is None:
            return
        for key, mask in store.masks().items():
            assert not store.weights([key])[key][~mask].any()
        share = np.mean(
            np.concatenate([m.ravel() for m in store.masks().values()])
        )
        assert 1 - share == pytest.approx(logs["sparsity"])


@pytest.mark.check("C17")
@ONE_QUICK
def test_layers_freeze_and_unfreeze_while_the_component_works(setting, case):
    is_first = setting.name == "Pruning"  # With Adam, which has two slots.
    model = zoo.compiled(metrics=None) if is_first else zoo.light()
    freeze = Freeze(slots=2 if is_first else 1)
    callbacks = [*setting.callbacks(case), freeze]
    epochs = setting.whole(3)
    history = probes.fit(model, "mlp", callbacks, epochs=epochs)

    frozen, thawed = freeze.hidden[1], freeze.hidden[2]
    for then, now in zip(frozen, thawed, strict=True):
        if then.shape != now.shape:
            continue  # Pruned or grown at this epoch begin.
        kept = now != 0  # The schedule continues, also in a frozen layer.
        assert kept.any() or not then.any()
        np.testing.assert_array_equal(now[kept], then[kept])
    moved = model.layers[0].get_weights()
    assert any(
        not np.array_equal(a, b) for a, b in zip(moved, thawed, strict=True)
    )
    assert freeze.steps == 4 * epochs
    assert len(history["loss"]) == epochs
    assert setting.effect(zoo.build("mlp"), model, callbacks[-2])


@pytest.mark.check("C17")
def test_recompiling_keeps_the_statistics_of_a_score():
    model = zoo.compiled(metrics=None)
    pruning = Pruning(0.5, score="movement", frequency=100)
    probes.fit(model, "mlp", [pruning])
    before = MaskStore.of(model).statistics()
    recompile_keeping_state(model)

    assert any(statistic.any() for statistic in before.values())
    probes.assert_same(MaskStore.of(model).statistics(), before)


def _slots(model, layer):
    """The slots of each weight of a layer, by path."""
    found = {}
    for variable in model.optimizer.variables:
        for weight in layer.weights:
            flat = weight.path.replace("/", "_")
            own = "mask_" in variable.path or "_master" in variable.path
            if flat in variable.path and not own:
                found[variable.path] = np.array(variable.numpy())
    return found
