"""Groups of layers and the timetable in which they open or freeze."""

import keras
import pytest
from contract import zoo
from keras import layers

from keras_netopt.fine_tuning.layer_groups import list_blocks, make_groups
from keras_netopt.fine_tuning.unfreezing_schedule import UnfreezingSchedule
from keras_netopt.points import LATER, RunLength

pytestmark = pytest.mark.no_backend


def names(groups):
    return [list(group.paths) for group in groups]


def chain(*names):
    """A model of dense layers and, where a name begins with n, norms."""
    inputs = x = keras.Input((3,))
    for name in names:
        kind = layers.BatchNormalization if name[0] == "n" else layers.Dense
        arguments = {} if name[0] == "n" else {"units": 3}
        x = kind(name=name, **arguments)(x)
    return keras.Model(inputs, x)


def test_a_layer_without_a_kernel_belongs_to_the_layer_before_it():
    model = chain("n0", "d1", "n1", "d2", "n2", "n3", "out")

    assert names(make_groups(model, 3)) == [
        ["n0", "d1", "n1"],
        ["d2", "n2", "n3"],
        ["out"],
    ]


def test_a_number_of_groups_leaves_the_last_layer_alone():
    model = chain(*"abcdefg")

    assert names(make_groups(model, 3)) == [
        ["a", "b", "c"],
        ["d", "e", "f"],
        ["g"],
    ]
    assert names(make_groups(model, 2))[1] == ["g"]


def test_the_default_is_a_group_per_block_of_the_model_itself():
    inputs = keras.Input((3,))
    nested = keras.Model(inputs, layers.Dense(2)(chain(*"abc")(inputs)))

    assert [len(g.paths) for g in make_groups(nested, None)] == [3, 1]
    assert [len(g.paths) for g in make_groups(chain(*"abcdefg"), None)] == [
        2,
        2,
        2,
        1,
    ]
    whole = keras.Sequential([keras.Input((3,)), chain(*"ab")])
    assert [len(g.paths) for g in make_groups(whole, None)] == [1, 1]


def test_a_block_of_a_transformer_is_one_block():
    """Also inside a nested model, which is opened."""

    class Block(layers.Layer):
        def __init__(self, name):
            super().__init__(name=name)
            self.attention = layers.MultiHeadAttention(2, 2, name="mha")
            self.norm = layers.LayerNormalization(name="norm")
            self.dense = layers.Dense(4, name="dense")

        def call(self, x):
            return self.dense(self.norm(x + self.attention(x, x)))

    x = inputs = keras.Input((5, 4))
    for name in ("one", "two"):
        x = Block(name)(x)
    x = layers.LayerNormalization(name="last")(x)
    inner = keras.Model(inputs, x, name="inner")
    y = layers.MultiHeadAttention(2, 2, name="top")(inner(inputs), inputs)
    model = keras.Model(inputs, layers.Dense(1, name="head")(y))
    found = [
        {"/".join(path.split("/")[:2]) for path in group.paths}
        for group in list_blocks(model)
    ]

    assert found[:2] == [{"inner/one"}, {"inner/two", "inner/last"}]
    assert {path.split("/")[0] for path in found[2]} == {"top"}
    assert found[3:] == [{"head"}]


def test_every_weight_of_every_model_is_in_one_group():
    wrong = []
    for name in zoo.BUILDERS:
        model = zoo.build(name)
        for groups in (None, 2):
            found = [v for g in make_groups(model, groups) for v in g.variables]
            wanted = {id(v) for v in model.trainable_variables}
            if {id(v) for v in found} != wanted or len(found) != len(wanted):
                wrong.append((name, groups))
    assert wrong == []


def test_a_layer_with_weights_of_its_own_stands_for_those_inside():
    class Scaled(layers.Layer):
        def __init__(self):
            super().__init__(name="scaled")
            self.inner = layers.Dense(3, name="inner")

        def build(self, shape):
            self.scale = self.add_weight(shape=(3,), name="scale")
            self.inner.build(shape)

        def call(self, x):
            return self.inner(x) * self.scale

    model = keras.Sequential([keras.Input((3,)), Scaled(), layers.Dense(1)])
    first, _ = make_groups(model, ["scaled", "dense"])

    assert first.paths == ("scaled",)
    assert len(first.variables) == 3
    with pytest.raises(ValueError, match="nearest paths"):
        make_groups(model, ["inner", "dense"])


def test_a_shared_weight_cannot_be_in_two_groups():
    class Tied(layers.Layer):
        def __init__(self, other):
            super().__init__(name="two")
            self.kernel = other.kernel

        def call(self, x):
            return x @ self.kernel

    one = layers.Dense(3, name="one")
    one.build((None, 3))
    model = keras.Sequential([keras.Input((3,)), one, Tied(one)])
    with pytest.raises(ValueError, match="share the weight"):
        make_groups(model, ["one", "two"])


def test_the_spans_of_chain_thaw_and_freeze():
    chain_thaw = UnfreezingSchedule("chain_thaw", 3)
    run = RunLength(10, 4)
    steps = chain_thaw.find_steps(run, 0, 0.25)

    assert steps == [10, 20, 30]
    assert [chain_thaw.open_after(k) for k in range(4)] == [
        {0},
        {1},
        {2},
        {0, 1, 2},
    ]
    freeze = UnfreezingSchedule("freeze", 3)
    steps = freeze.find_steps(run, "1ep", "5step")
    assert steps == [15, 20]
    assert [freeze.find_span(g, steps) for g in range(3)] == [
        (0, 15),
        (0, 20),
        (0, None),
    ]


def test_the_default_distance_ends_halfway_after_begin():
    schedule = UnfreezingSchedule("unfreeze", 3)

    assert schedule.find_steps(RunLength(10, 4), 0, None) == [10, 20]
    assert schedule.find_steps(RunLength(10, 4), "2ep", None) == [25, 30]


def test_epochs_of_unknown_length_are_counted_in_epochs():
    schedule = UnfreezingSchedule("unfreeze", 3)

    assert schedule.find_steps(RunLength(None, 3), 0, "1ep") == [LATER] * 2
    with pytest.raises(ValueError, match="more epochs"):
        schedule.find_steps(RunLength(None, 2), 0, "1ep")
    assert schedule.find_steps(RunLength(None, 1), 0, 5) == [5, 10]
