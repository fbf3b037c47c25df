"""GradualUnfreezing: what stands still, what continues, what is refused."""

import keras
import numpy as np
import pytest
from callback_tools.fine_tuning import (
    LOSS,
    Watch,
    X,
    Y,
    build,
    compiled,
    fit,
    short,
)
from callback_tools.no_length import without_length
from callback_tools.own_steps import Parts
from keras import layers, optimizers

from keras_netopt.callbacks import GradualUnfreezing, Growing, Pruning
from keras_netopt.surgery import Widen
from keras_netopt.training import NoEffectWarning, NotIntendedUseWarning

BACKEND = keras.backend.backend()
GROUPS = ["head", "second", ["first", "norm"]]
FIRST = {"first", "norm"}
ALL = {*FIRST, "second", "head"}


def averaging():
    """Everything by which Keras changes weights beside gradients."""
    return optimizers.AdamW(
        0.01, weight_decay=0.1, use_ema=True, ema_momentum=0.5
    )


@pytest.fixture(scope="module")
def unfrozen():
    model, before, watch = compiled(averaging()), Watch(), Watch()
    callback = GradualUnfreezing(GROUPS, every="1ep")
    history = fit(model, before, callback, watch)
    return model, callback, watch, history, before


def test_weights_of_closed_groups_stand_still_bit_for_bit(unfrozen):
    """Neither weight decay nor an average nor normalization moves them."""
    *_, watch, _, _ = unfrozen
    moved = [watch.moved(step) for step in range(1, 9)]

    assert moved[:2] == [{"head"}] * 2
    assert moved[2:4] == [{"head", "second"}] * 2
    assert moved[4:] == [ALL] * 4


def test_the_optimizer_continues(unfrozen):
    """An event changes no slot of the weights that were trained before."""
    model, _, watch, _, earlier = unfrozen
    for step in (2, 4):  # The event comes between the two.
        before, after = earlier.slots[step - 1], watch.slots[step - 1]
        assert set(before) < set(after)
        for key, slot in before.items():
            np.testing.assert_array_equal(after[key], slot)
    assert int(model.optimizer.iterations) == 8
    assert {v.path for v in model.optimizer._trainable_variables} == {
        v.path for v in model.trainable_variables
    }
    plain, other = compiled(averaging()), Watch()
    for name in ("first", "norm", "second"):
        plain.get_layer(name).trainable = False
    fit(plain, other, epochs=1)
    mine, theirs = earlier.slots[1], other.slots[1]
    assert list(mine) == list(theirs)
    for key in mine:  # As in a `fit` call that froze the layers before.
        np.testing.assert_array_equal(mine[key], theirs[key])


def test_the_report_and_the_logs_tell_the_timetable(unfrozen):
    model, callback, _, history, _ = unfrozen
    counts = [28, 42, 42 + 12]

    assert history["trainable_params"] == [28, 70, 124, 124]
    rows = callback.report().rows
    assert [row.parameters for row in rows] == counts
    assert [(row.begin, row.end) for row in rows] == [
        (0, None),
        (2, None),
        (4, None),
    ]
    assert [row.layers for row in rows][2] == ("first", "norm")
    assert callback.is_complete
    assert all(layer.trainable for layer in model.layers)


def test_a_layer_that_opens_begins_its_average_at_its_weights(unfrozen):
    """A zero average would halve the weights in its first steps."""
    *_, watch, _, _ = unfrozen
    path = "first/kernel"
    name = "_model_variables_moving_average"
    before, first = watch.weights[4][path], watch.weights[5][path]

    np.testing.assert_allclose(
        watch.slots[4][name, path], (before + first) / 2, atol=1e-6
    )


@pytest.mark.parametrize("scheme", ["chain_thaw", "freeze"])
def test_other_schemes(scheme):
    model, watch = compiled(averaging()), Watch()
    callback = GradualUnfreezing(3, scheme=scheme, every=2)
    history = fit(model, callback, watch)
    moved = [watch.moved(step) for step in range(2, 9, 2)]
    expected = {
        "chain_thaw": [{"head"}, FIRST, {"second"}, ALL],
        "freeze": [ALL, {"second", "head"}, {"head"}, {"head"}],
    }[scheme]

    assert moved == expected
    sizes = {"chain_thaw": [28, 54, 42, 124], "freeze": [124, 70, 28, 28]}
    assert history["trainable_params"] == sizes[scheme]
    assert len(model.trainable_variables) == 8
    before = watch.slots[-1]
    fit(model, watch, epochs=1)
    assert {path.split("/")[0] for _, path in watch.slots[-1]} == ALL
    assert set(before) <= set(watch.slots[-1])


def test_evaluate_and_predict_use_the_weights_of_their_own_layers():
    """On JAX, functions made before an event exchange those of one shape."""

    class Compare(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            model = self.model
            x = X
            for layer in model.layers:
                kernel, bias = (layer.kernel, layer.bias)
                x = x @ kernel.numpy() + bias.numpy()
                x = x if layer.name == "head" else np.tanh(x)
            got = model.predict(X, verbose=0)
            np.testing.assert_allclose(got, x, atol=1e-5)
            inner = shared.predict(X, verbose=0)
            np.testing.assert_allclose(inner, x, atol=1e-5)

    model = keras.Sequential(
        [
            keras.Input((6,)),
            *(build().get_layer(n) for n in ("first", "second")),
        ]
        + [layers.Dense(4, name="head")]
    )
    model.compile("sgd", LOSS, jit_compile=False)
    shared = keras.Sequential(model.layers)  # Another model, same layers.
    shared.compile("adam", LOSS, jit_compile=False)
    fit(shared, epochs=1)
    shared.predict(X, verbose=0)
    callback = GradualUnfreezing(3, scheme="chain_thaw", every=2)
    history = fit(model, callback, Compare(), validation_data=(X, Y))

    loss = model.evaluate(X, Y, batch_size=16, verbose=0)
    assert history["val_loss"][-1] == pytest.approx(loss, abs=1e-6)
    fit(shared, epochs=1)  # Its optimizer holds all weights again.


class _Interrupted(Exception):
    """Ends a `fit` call."""


@pytest.mark.parametrize("where", ["first", "last"])
@pytest.mark.parametrize("scheme", ["unfreeze", "chain_thaw", "freeze"])
def test_a_fit_that_is_resumed_between_two_events(scheme, where, tmp_path):
    """The file holds an optimizer without the slots of frozen weights."""

    class Bomb(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise _Interrupted

    def train(*bomb):
        model = compiled(averaging())
        backup = keras.callbacks.BackupAndRestore(str(tmp_path / "backup"))
        own = GradualUnfreezing(3, scheme=scheme, every=2)
        pair = [backup, own] if where == "first" else [own, backup]
        fit(model, *pair, *bomb)
        return [np.array(v.numpy()) for v in model.weights], [
            np.array(v.numpy()) for v in model.optimizer.variables
        ]

    whole = train()
    with pytest.raises(_Interrupted):
        train(Bomb())
    resumed = train()

    for mine, theirs in zip(whole, resumed, strict=True):
        for then, now in zip(mine, theirs, strict=True):
            np.testing.assert_array_equal(then, now)


def test_an_interrupted_fit_can_be_followed_by_another():
    """Layers that it left frozen are not taken for layers of the user."""

    class Bomb(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise _Interrupted

    model = compiled()
    with pytest.raises(_Interrupted):
        fit(model, GradualUnfreezing(3, every=2), Bomb())
    assert not model.get_layer("first").trainable
    callback = GradualUnfreezing(3, every=2)
    fit(model, callback)

    assert sum(row.parameters for row in callback.report().rows) == 124
    assert all(layer.trainable for layer in model.layers)


def test_a_loaded_model_with_frozen_layers_is_named(tmp_path):
    """`load_model` restores the flags of a file, not the callback's state."""

    class Save(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 0:
                self.model.save(tmp_path / "model.keras")

    fit(compiled(), GradualUnfreezing(3, every=2), Save())
    model = keras.saving.load_model(tmp_path / "model.keras")
    assert not model.get_layer("first").trainable
    with pytest.warns(NotIntendedUseWarning, match="first, norm.*trainable"):
        fit(model, GradualUnfreezing(every=2), epochs=2, initial_epoch=1)
    for layer in model.layers:  # TensorFlow ignores it on the model.
        layer.trainable = True
    callback = GradualUnfreezing(every=2)
    fit(model, callback, epochs=3, initial_epoch=1)

    assert sum(row.parameters for row in callback.report().rows) == 124


def test_weights_that_were_frozen_before_stay_frozen():
    model = build()
    model.get_layer("second").trainable = False
    model.get_layer("first").enable_lora(2)  # Freezes the kernel alone.
    model.compile("sgd", LOSS, jit_compile=False)
    watch, callback = Watch(), GradualUnfreezing(2, every=2)
    fit(model, callback, watch)

    assert watch.moved(1) == {"head"}
    assert watch.moved(8) == {"head", "first", "norm"}
    kernel = model.get_layer("first")._kernel
    np.testing.assert_array_equal(
        kernel.numpy(), watch.weights[0][short(kernel)]
    )
    assert not kernel.trainable
    assert not model.get_layer("second").trainable


def test_masks_stay_in_frozen_layers():
    model = compiled()
    pruning = Pruning(0.5, frequency=1)
    fit(model, GradualUnfreezing(GROUPS, every=2), pruning)

    assert pruning.report().sparsity == pytest.approx(0.5, abs=0.01)


@pytest.mark.filterwarnings("ignore:Your input ran out of data:UserWarning")
def test_data_of_unknown_length_take_epochs():
    model, watch = compiled(), Watch()
    callback = GradualUnfreezing(GROUPS, every="1ep")
    data = without_length(X, Y)
    options = {"verbose": 0, "shuffle": False}
    model.fit(data, epochs=3, callbacks=[callback, watch], **options)

    assert [len(watch.moved(step)) for step in (2, 4, 6)] == [1, 2, 4]
    with pytest.raises(ValueError, match="length of the `fit` call"):
        model.fit(data, callbacks=[GradualUnfreezing(GROUPS)], **options)
    assert all(layer.trainable for layer in model.layers)


@pytest.mark.backend("tensorflow", "torch")
def test_a_train_step_that_changes_frozen_weights_is_named():
    class Stubborn(Parts):
        def train_step(self, data):
            if not hasattr(self, "fixed"):
                object.__setattr__(self, "fixed", [*self.weights])
            for weight in self.fixed:
                weight.assign(0.9 * weight)
            return {"loss": self.loss_of(data)}

    model = Stubborn()
    model.compile("sgd", jit_compile=False)
    with pytest.warns(NotIntendedUseWarning, match="own `train_step`"):
        model.fit(
            X, epochs=4, verbose=0, callbacks=[GradualUnfreezing(2, every=2)]
        )


def test_groups_that_never_open_are_named():
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = True

    callback = GradualUnfreezing(3, every=2)
    with pytest.warns(NoEffectWarning, match=r"at steps \[4\].*smaller"):
        fit(compiled(), callback, Stop())

    assert callback.report().rows[2].begin is None
    assert "never" in str(callback.report())


REFUSED = {
    "one group": (dict(groups=1), "at least 2"),
    "one selector": (dict(groups=["head"]), "at least two selectors"),
    "no match": (dict(groups=["head", "body"]), "nearest paths"),
    "overlap": (dict(groups=["head", "d$"]), "name each layer once"),
    "too many": (dict(groups=4), "at most the number of layers"),
    "too late": (dict(groups=3, every="2ep"), "Use fewer `groups`"),
    "late begin": (dict(groups=3, begin=0.9, every=2), "earlier `begin`"),
    "no distance": (dict(every="0ep"), "above 0"),
    "no point": (dict(every="1ep", begin="later"), "`begin`"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_settings_without_an_effect_are_refused(name):
    arguments, text = REFUSED[name]
    model, watch = compiled(run_eagerly=True), Watch()
    with pytest.raises(ValueError, match=text) as error:
        fit(model, GradualUnfreezing(**arguments), watch)

    assert "Received: " in str(error.value)
    assert len(watch.weights) <= 1
    assert all(layer.trainable for layer in model.layers)


def test_models_that_cannot_be_unfrozen_are_refused():
    frozen = compiled(run_eagerly=True)
    frozen.get_layer("first").trainable = False
    with pytest.raises(ValueError, match="all of group 1 are frozen"):
        fit(frozen, GradualUnfreezing(["head", "first"]))
    with pytest.raises(ValueError, match="once per `fit`"):
        fit(compiled(), GradualUnfreezing(2), GradualUnfreezing(3))


def test_a_model_without_weights_is_refused():
    class Late(keras.Model):
        def __init__(self):
            super().__init__()
            self.one, self.two = layers.Dense(3), layers.Dense(4)

        def build(self, shape):
            self.one.build(shape)
            self.two.build((None, 3))

        def call(self, x):
            return self.two(self.one(x))

    model = Late()
    model.compile("sgd", LOSS, run_eagerly=BACKEND == "tensorflow")
    callback = GradualUnfreezing(2)
    callback.set_model(model)
    callback.set_params({"epochs": 2, "steps": 2})
    with pytest.raises(ValueError, match="needs a built model"):
        callback.on_train_begin()


def test_a_frozen_layer_may_be_edited_before_it_opens_again():
    """The slots that were set aside no longer have the shape of the weight."""
    model, watch = compiled(), Watch()
    growing = Growing([Widen("first", add=2)], {"2ep": [0]})
    callback = GradualUnfreezing(3, scheme="chain_thaw", every=2)
    fit(model, growing, callback, watch, epochs=5)

    assert watch.weights[-1]["first/kernel"].shape == (6, 8)
    assert watch.moved(10) == ALL
    assert callback.is_complete
