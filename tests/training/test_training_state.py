import keras
import numpy as np
from training.steps import apply_gradients

from keras_netopt.training import recompile_keeping_state, training_state


def numbers(variables):
    return [np.array(keras.ops.convert_to_numpy(v)) for v in variables]


def train(model, data):
    model(data[0], training=True)  # Moves averages and random numbers.
    apply_gradients(model, 2)


def test_random_numbers_continue_after_restoring(make_mlp, toy_data):
    """Seed states of layers; on torch the global generator too."""
    model = make_mlp("adam")
    train(model, toy_data)
    state = training_state.capture_training_state(model)
    first = numbers(model(toy_data[0], training=True) for _ in range(2))
    training_state.restore_training_state(model, state)
    again = numbers(model(toy_data[0], training=True) for _ in range(2))

    assert not np.array_equal(*first)
    np.testing.assert_array_equal(first, again)


def test_slots_are_found_by_path_after_freezing(make_mlp, toy_data):
    model = make_mlp("adam")
    train(model, toy_data)
    before = numbers(model.variables)
    slots = {v.path: numbers([v])[0] for v in model.optimizer.variables}
    state = training_state.capture_training_state(model)
    model.get_layer("hidden").trainable = False
    recompile_keeping_state(model)
    train(model, toy_data)
    training_state.restore_training_state(model, state)

    for mine, theirs in zip(numbers(model.variables), before, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    left = model.optimizer.variables
    assert 2 < len(left) < len(slots)
    for variable in left:
        np.testing.assert_array_equal(
            numbers([variable])[0], slots[variable.path]
        )


def test_a_copy_with_another_optimizer_name_loads_the_state(make_mlp, toy_data):
    model, twin = make_mlp("adam"), make_mlp("adam")
    train(model, toy_data)
    twin.optimizer.build(twin.trainable_variables)
    mine = [v.path for v in model.optimizer.variables]
    assert mine != [v.path for v in twin.optimizer.variables]
    training_state.restore_training_state(
        twin, training_state.capture_training_state(model)
    )

    for one, other in (
        (model.variables, twin.variables),
        (model.optimizer.variables, twin.optimizer.variables),
    ):
        for a, b in zip(numbers(one), numbers(other), strict=True):
            np.testing.assert_array_equal(a, b)
