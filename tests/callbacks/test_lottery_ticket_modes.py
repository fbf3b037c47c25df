"""`LotteryTicket` with the modes of `fit`, other callbacks and bad input."""

import keras
import numpy as np
import pytest
from callback_tools.no_length import without_length
from callback_tools.own_steps import Auto, TwoOptimizers, X, compiled
from callback_tools.pruning import size, zeros
from callback_tools.tickets import Watch, fit, state
from contract.probes import CountedLoss

from keras_netopt.callbacks import LotteryTicket
from keras_netopt.training import (
    MaskStore,
    NoEffectWarning,
    NotIntendedUseWarning,
)

L = keras.layers
UNKNOWN = {"batch_size": None}
not_torch = pytest.mark.backend("tensorflow", "jax")
not_jax = pytest.mark.backend("tensorflow", "torch")


def refusal(model, data, *callbacks, **arguments):
    """The error of `fit`, before a step has changed the model."""
    before = model.get_weights()
    with pytest.raises(ValueError) as error:
        fit(model, data, *callbacks, **arguments)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    return str(error.value)


def test_the_length_of_fit_is_checked_before_training(ticket_mlp, toy_data):
    """Bug: the search ends in the middle of a round."""
    model = ticket_mlp()
    assert refusal(model, toy_data, LotteryTicket(3), epochs=6) == (
        "Argument `rounds` splits `fit` into equal parts, so the epochs must "
        "be a multiple of rounds + 1 = 4: use `fit(epochs=8)`, or other "
        "rounds. Received: rounds=3, epochs=6"
    )
    for point in ("2ep", 8, 0.5, "12step"):
        late = LotteryTicket(2, rewind_to=point)
        assert refusal(model, toy_data, late, epochs=6) == (
            "Argument `rewind_to` must be a point in the first part of "
            "`fit`, which has 2 epochs, before its end. "
            f"Received: rewind_to={point!r}"
        )
    text = refusal(model, toy_data, LotteryTicket(2), epochs=6, initial_epoch=2)
    assert "BackupAndRestore" in text and "Received: initial_epoch=2" in text


def test_weights_that_cannot_be_drawn_are_refused_by_name(toy_data):
    class Secret(L.Layer):
        def build(self, shape):
            self.scale = self.add_weight(name="scale", initializer="ones")

        def call(self, x):
            return x * self.scale

        def get_config(self):
            raise NotImplementedError

    model = keras.Sequential(
        [keras.Input((8,)), L.Dense(4), Secret(name="secret"), L.Dense(3)]
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    ticket = LotteryTicket(1, control="reinit")
    text = refusal(model, toy_data, ticket, epochs=2)

    assert "layer `secret` of class Secret" in text and "`scale`" in text


def test_a_model_without_weights_must_be_built_or_rewind_later(toy_data):
    """On TensorFlow its initial values do not exist when `fit` begins."""

    def fresh():
        keras.utils.set_random_seed(1)
        model = keras.Sequential([L.Dense(16, "relu"), L.Dense(3)])
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(True))
        return model

    late = fresh()
    ticket = LotteryTicket(1, 0.5, rewind_to="1step")
    fit(late, toy_data, ticket, epochs=2)
    assert zeros(late) == size(late) // 2
    model = fresh()
    if keras.backend.backend() != "tensorflow":
        fit(model, toy_data, LotteryTicket(1, 0.5), epochs=2)
        assert zeros(model) == size(model) // 2
        return
    with pytest.raises(ValueError, match="Build it before `fit`"):
        fit(model, toy_data, LotteryTicket(1, 0.5), epochs=2)


@not_torch
def test_rewinding_traces_nothing(toy_data):
    """Bug: each round compiles the step again."""
    calls = []
    for callbacks in ([], [LotteryTicket(2, 0.5, control="reinit")]):
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.Input((8,)), L.Dense(3)])
        loss = CountedLoss(from_logits=True)
        model.compile("adam", loss, jit_compile=False)
        fit(model, toy_data, *callbacks, epochs=3)
        calls.append(loss.calls)

    assert calls[1] <= calls[0]


@not_torch
def test_executions_of_several_steps_move_the_rewind_point_to_their_end(
    toy_data, make_mlp
):
    results = []
    for steps, point in ((1, 4), (4, 3)):
        model = make_mlp("sgd", steps_per_execution=steps)
        ticket = LotteryTicket(1, 0.5, rewind_to=f"{point}step")
        fit(model, toy_data, ticket, epochs=4)
        results.append(model.get_weights())
        assert int(model.optimizer.iterations) == 12
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_averages_and_the_loss_scale_are_rewound(toy_data, make_mlp):
    """Bug: averages of the dense round reach the ticket."""
    keras.config.set_dtype_policy("mixed_float16")
    try:
        optimizer = keras.optimizers.SGD(0.1, momentum=0.9, use_ema=True)
        model = make_mlp(optimizer)
    finally:
        keras.config.set_dtype_policy("float32")
    watch = Watch()
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    ticket = LotteryTicket(1, 0.5)
    fit(model, toy_data, swap, ticket, watch, epochs=4)

    initial, rewound = watch.before[0], watch.before[8]
    masks = watch.masks[8]
    assert any("dynamic_scale" in name for name in rewound)
    assert any("average" in name for name in rewound)
    for name, value in rewound.items():
        mask = masks.get(name.split(" of ")[-1], True)
        wanted = np.where(mask, initial[name], 0)
        np.testing.assert_array_equal(value, wanted, err_msg=name)
    for key, value in state(model).items():
        mask = masks.get(key.split(" of ")[-1], True)
        assert not np.where(mask, 0, value).any(), key
    assert zeros(model) == size(model) // 2


def test_learning_rates_are_those_of_the_round(ticket_mlp, toy_data):
    """Bug: a rate that a plateau has lowered stays low in later rounds, or
    the loss after a rewind counts as a plateau."""
    rates = []

    class Rates(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            rates.append(float(self.model.optimizer.learning_rate))

    # Every epoch is a plateau; the rate falls after the second of a round.
    plateau = keras.callbacks.ReduceLROnPlateau(
        "loss", factor=0.5, patience=1, min_delta=9
    )
    fit(
        ticket_mlp(), toy_data, LotteryTicket(1, 0.5), plateau, Rates(),
        epochs=6,
    )  # fmt: skip
    first, second = np.array(rates[::4]).reshape(2, 3)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, [0.1, 0.1, 0.05])


def test_weights_that_are_not_finite_choose_no_masks(ticket_mlp, toy_data):
    """Bug: an error ends a `fit` of hours, or NaN decides what is kept."""

    class Spoil(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                kernel = self.model.layers[0].kernel
                kernel.assign(np.full(kernel.shape, np.nan, "float32"))

    model = ticket_mlp()
    with pytest.warns(NoEffectWarning, match="are not finite"):
        fit(model, toy_data, LotteryTicket(2, 0.5), Spoil(), epochs=6)

    assert zeros(model) == round(0.75 * size(model))
    assert np.isfinite(model.get_weights()[0]).all()


def test_a_scheduler_that_gives_rounds_other_rates_is_told(
    ticket_mlp, toy_data
):
    schedule = keras.callbacks.LearningRateScheduler
    even = schedule(lambda epoch: 0.1 / (1 + epoch % 2))
    decay = schedule(lambda epoch, rate: rate * 0.5)
    fit(ticket_mlp(), toy_data, LotteryTicket(1), even, decay, epochs=4)
    falling = schedule(lambda epoch: 0.1 / (1 + epoch))
    with pytest.warns(NotIntendedUseWarning, match=r"`epoch % 2`"):
        fit(ticket_mlp(), toy_data, LotteryTicket(1), falling, epochs=4)


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
@not_jax
def test_data_of_unknown_length(ticket_mlp, toy_data):
    """Bug: the rewind point at the end of an epoch is missed, or one that
    lies after the first part is found too late without a word."""
    model, watch = ticket_mlp(), Watch()
    ticket = LotteryTicket(1, 0.5, rewind_to="1ep")
    data = [without_length(*toy_data)]
    fit(model, data, ticket, watch, epochs=4, **UNKNOWN)
    for name, value in watch.before[8].items():
        mask = watch.masks[8].get(name.split(" of ")[-1], True)
        wanted = np.where(mask, watch.before[4][name], 0)
        np.testing.assert_array_equal(value, wanted, err_msg=name)
    assert zeros(model) == size(model) // 2
    for point in ("2ep", 40):
        late = LotteryTicket(1, 0.5, rewind_to=point)
        data = [without_length(*toy_data)]
        with pytest.raises(ValueError, match="`rewind_to` (must|lies)"):
            fit(ticket_mlp(), data, late, epochs=4, **UNKNOWN)


def test_a_train_step_of_ones_own_is_rewound():
    model, watch = compiled(Auto, optimizer="adam"), Watch()
    ticket = LotteryTicket(1, 0.5)
    fit(model, (X,), ticket, watch, epochs=4, batch_size=8)

    for name, value in watch.before[8].items():
        mask = watch.masks[8].get(name.split(" of ")[-1], True)
        wanted = np.where(mask, watch.before[0][name], 0)
        np.testing.assert_array_equal(value, wanted, err_msg=name)
    assert zeros(model) == size(model) // 2


@not_jax
@pytest.mark.parametrize("control", [None, "reinit"])
def test_optimizers_that_the_first_step_builds_are_reset(control):
    """Bug: as in a GAN, slots that `fit` did not know when it began stay."""
    model, seen = compiled(TwoOptimizers), []

    class Seen(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            own = (self.model.first, self.model.others[0])
            slots = [v for one in own for v in one.variables]
            masks = {id(v) for v in MaskStore.of(self.model).variables}
            seen.append(
                [
                    float(np.abs(v.numpy()).sum())
                    for v in slots
                    if v.name != "learning_rate" and id(v) not in masks
                ]
            )

    ticket = LotteryTicket(1, 0.5, control=control)
    fit(model, (X,), ticket, Seen(), epochs=4, batch_size=8)

    assert any(seen[1]) and any(seen[3])
    assert not any(seen[2])
    assert zeros(model) == size(model) // 2


def test_a_resumed_fit_of_another_length_is_refused(
    ticket_mlp, toy_data, tmp_path
):
    """Bug: rounds of other lengths; the rest of the state is in C6."""
    model = ticket_mlp()
    path = tmp_path / "w.weights.h5"
    save = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: (
            model.save_weights(path) if epoch == 1 else None
        )
    )
    fit(model, toy_data, save, LotteryTicket(1, 0.5), epochs=4)

    other = ticket_mlp()
    load = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: other.load_weights(path)
    )
    with pytest.raises(ValueError, match="as many epochs .*, 4.*epochs=6"):
        fit(
            other, toy_data, load, LotteryTicket(1, 0.5), epochs=6,
            initial_epoch=2,
        )  # fmt: skip
