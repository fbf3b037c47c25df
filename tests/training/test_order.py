"""Order rules match callbacks by class and attribute."""

import keras
import numpy as np
import pytest

from keras_netopt.training import order

EAGER = keras.backend.backend() == "tensorflow"  # Tracing takes longer.


class Spy(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.seen = order.active_callbacks()


def early_stopping(**arguments):
    return keras.callbacks.EarlyStopping(monitor="loss", **arguments)


def test_active_callbacks_are_those_of_the_running_fit_call(make_mlp, toy_data):
    spy, other = Spy(), keras.callbacks.LambdaCallback()
    make_mlp("sgd", run_eagerly=EAGER).fit(
        *toy_data, batch_size=64, verbose=0, callbacks=[other, spy]
    )

    assert spy.seen[:2] == [other, spy]
    assert isinstance(spy.seen[2], keras.callbacks.History)


def test_no_callbacks_are_active_outside_fit():
    assert order.active_callbacks() == []


def test_a_rule_matches_subclasses_and_one_attribute():
    rule = "EarlyStopping(restore_best_weights=True)"

    class Mine(keras.callbacks.EarlyStopping):
        pass

    assert order.matches_rule(Mine(restore_best_weights=True), rule)
    assert not order.matches_rule(early_stopping(), rule)
    assert order.matches_rule(early_stopping(), "EarlyStopping")


def test_a_rule_of_another_form_is_refused():
    with pytest.raises(ValueError) as error:
        order.matches_rule(early_stopping(), "a b")

    assert str(error.value) == (
        'A rule must read "Name" or "Name(attribute=value)". '
        "Received: rule='a b'"
    )


def test_misplaced_callbacks_are_found_on_one_side():
    callback, early = Spy(), early_stopping()

    assert order.find_misplaced(
        callback, [callback, early], ["EarlyStopping"], after=True
    ) == [early]
    assert not order.find_misplaced(
        callback, [early, callback], ["EarlyStopping"], after=True
    )
    assert order.find_misplaced(
        callback, [early, callback], ["EarlyStopping"], after=False
    ) == [early]


def test_the_printed_order_moves_the_misplaced_callbacks():
    callback, early, logger = Spy(), early_stopping(), keras.callbacks.History()
    logger = keras.callbacks.TerminateOnNaN()

    shown = order.format_order(callback, [callback, logger, early], [early])

    assert shown == "[EarlyStopping, Spy, TerminateOnNaN]"


def test_the_arguments_of_fit_are_found():
    found = []

    class Look(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            found.append(order.find_fit_arguments(self.model))
            found.append(order.find_fit_arguments(None))

    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=EAGER)
    x = np.ones((4, 1))
    model.fit(x, x, class_weight={0: 2.0}, verbose=0, callbacks=[Look()])
    inside, of_another = found

    assert inside["x"] is x
    assert inside["class_weight"] == {0: 2.0}
    assert inside["steps_per_epoch"] is None
    assert of_another == {}
    assert order.find_fit_arguments(model) == {}
