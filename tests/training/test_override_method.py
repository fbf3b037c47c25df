"""One override per method, which can be undone."""

import keras
import pytest

from keras_netopt.training import override_method


def test_the_override_is_on_the_instance_only():
    one, other = keras.optimizers.SGD(), keras.optimizers.SGD()
    undo = override_method(one, "get_config", lambda: "shadowed")

    assert one.get_config() == "shadowed"
    assert isinstance(other.get_config(), dict)
    undo()
    assert isinstance(one.get_config(), dict)


def test_a_second_override_is_refused():
    optimizer = keras.optimizers.SGD()
    override_method(optimizer, "apply", print)

    with pytest.raises(ValueError) as error:
        override_method(optimizer, "apply", print)

    assert str(error.value) == (
        "Method `apply` of SGD is already overridden on this object, expected "
        "one override per method. Received: name='apply'"
    )


def test_undo_keeps_a_later_override():
    optimizer = keras.optimizers.SGD()
    undo = override_method(optimizer, "apply", print)
    undo()
    override_method(optimizer, "apply", max)
    undo()

    assert optimizer.apply is max
