"""C6, C7, C17, C21: saved state and released memory."""

import gc
import shutil
import weakref

import keras
import numpy as np
import pytest
from contract import functions, probes, resume, settings, zoo
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
        model = zoo.compiled(dropout=0.0)
        if fit:
            model.optimizer.build(model.trainable_variables)
        pruning = Pruning(schedule, frequency=4)
        recorder = resume.Recorder(pruning)
        callbacks = [*before, pruning, recorder]
        probes.fit(model, "mlp", callbacks, epochs=4, **fit)
        return resume.without(
            probes.state(model), "checkpoint random"
        ), recorder

    save = probes.AtBatch(8, lambda model: model.save_weights(path))
    whole, _ = train(save)
    load = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: load.model.load_weights(path)
    )
    resumed, recorder = train(load, initial_epoch=2)

    assert recorder.updates == [8, 8, 8, 8, *[12] * 5]
    assert recorder.masked[0] == round(0.25 * 176)
    probes.assert_same(resumed, whole)


@pytest.mark.check("C6")
def test_state_of_other_settings_is_refused(tmp_path):
    path = tmp_path / "half.weights.h5"
    model = zoo.compiled()
    probes.fit(model, "mlp", [Pruning(0.5)])
    model.save_weights(path)
    other = zoo.compiled()
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


@pytest.mark.check("C7")
@ONE_QUICK
def test_attaching_again_adds_nothing(setting, case):
    loss = probes.CountedLoss(from_logits=True)
    model = zoo.build("mlp")
    model.compile("adam", loss, jit_compile=zoo.JIT)
    callbacks = setting.callbacks(case)
    probes.fit(model, "mlp", callbacks)
    variables = [id(v) for v in model.optimizer.variables]
    traces = loss.calls
    for component in (callbacks, setting.callbacks(case)):
        probes.fit(model, "mlp", component, epochs=1)

    assert [id(v) for v in model.optimizer.variables] == variables
    if BACKEND != "torch":  # torch runs Python at every step.
        assert loss.calls == traces


@pytest.mark.check("C7")
@pytest.mark.parametrize(
    "setting",
    [
        # Two exports take long; C14 exports as well.
        pytest.param(s, marks=(pytest.mark.slow,) if s.tensorflow else ())
        for s in functions.FUNCTIONS
    ],
    ids=str,
)
def test_applying_a_function_twice_is_applying_it_once(
    setting, trials, tmp_path
):
    if setting.tensorflow and BACKEND != "tensorflow":
        pytest.skip(f"{setting} works on TensorFlow, this is {BACKEND}")
    trial = trials.get(settings.CALLBACKS[0], "mlp")
    shutil.copy(trial.folder / "model.keras", tmp_path / "pruned.keras")
    model = zoo.compiled()
    model.optimizer.build(model.trainable_variables)
    if setting.is_pruned:
        probes.fit(model, "mlp", [Pruning(0.5)])
        setting.prepare(model)
    original = probes.state(model)
    first = setting.call(model, tmp_path)
    once = probes.state(model)
    if setting.once:
        with pytest.raises(ValueError, match="must have masks"):
            setting.call(model, tmp_path)
    else:
        second = setting.call(model, tmp_path)
        assert str(second) == str(first)

    probes.assert_same(probes.state(model), once)
    changed = list(original) != list(once) or probes.differ(original, once)
    assert changed == setting.changes


class Freeze(keras.callbacks.Callback):
    """Freezes the first layer in epoch 1 and unfreezes it in epoch 2."""

    def __init__(self):
        super().__init__()
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
        assert len(before) == 4
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
    model, freeze = zoo.compiled(), Freeze()
    callbacks = [*setting.callbacks(case), freeze]
    history = probes.fit(model, "mlp", callbacks, epochs=3)

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
    assert freeze.steps == 12
    assert len(history["loss"]) == 3
    assert setting.effect(zoo.build("mlp"), model, callbacks[-2])


@pytest.mark.check("C17")
def test_recompiling_keeps_the_statistics_of_a_score():
    model = zoo.compiled()
    pruning = Pruning(0.5, score="movement", frequency=100)
    probes.fit(model, "mlp", [pruning])
    before = MaskStore.of(model).statistics()
    recompile_keeping_state(model)

    assert any(statistic.any() for statistic in before.values())
    probes.assert_same(MaskStore.of(model).statistics(), before)


def _slots(model, layer):
    """Adam's two slots of each weight of a layer, by path."""
    found = {}
    for variable in model.optimizer.variables:
        for weight in layer.weights:
            flat = weight.path.replace("/", "_")
            if flat in variable.path and "mask_" not in variable.path:
                found[variable.path] = np.array(variable.numpy())
    return found


@pytest.mark.check("C21")
@ONE_PER_COMPONENT
def test_models_are_released(setting, case):
    callbacks = setting.callbacks(case)
    first = weakref.ref(_trained(callbacks))
    second = _trained(callbacks)
    for callback in callbacks:
        assert callback.model is second
    gc.collect()

    assert first() is None


@pytest.mark.check("C21")
@ONE_QUICK
def test_twenty_fit_calls_hold_no_more_than_one(setting, case):
    loss = probes.CountedLoss(from_logits=True)
    model = zoo.build("mlp")
    model.compile("sgd", loss, jit_compile=zoo.JIT)
    callbacks = setting.callbacks(case)
    x, y = zoo.data("mlp", samples=2 * zoo.BATCH_SIZE)
    one = {"x": x, "y": y}
    probes.fit(model, "mlp", callbacks, **one)
    variables, traces = _live_variables(), loss.calls
    for _ in range(19):
        probes.fit(model, "mlp", callbacks, **one)

    assert _live_variables() == variables
    if BACKEND != "torch":
        assert loss.calls == traces


def _trained(callbacks):
    model = zoo.compiled()
    probes.fit(model, "mlp", callbacks)
    return model


def _live_variables():
    gc.collect()
    return sum(issubclass(type(o), keras.Variable) for o in gc.get_objects())
