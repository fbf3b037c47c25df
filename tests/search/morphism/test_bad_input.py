"""What is refused, before anything is trained."""

import keras
import pytest
from search.morphism import networks

from keras_netopt import search
from keras_netopt.search.morphism.journal import FILE
from keras_netopt.search.morphism.morphism_objective import MorphismObjective

DATA = (networks.X, networks.Y)


def build(parent=None, **options):
    return search.Morphism(
        networks.build_sequential() if parent is None else parent,
        **{"objective": "val_loss", "controls": 0, **options},
    )


def test_sequences_of_a_search_are_checked(tmp_path):
    for options in (
        {"operations": "widen"},
        {"operations": ()},
        {"factors": ()},
        {"factors": ("2",)},
        {"objective": ""},
        {"include": "nothing"},
    ):
        ((name, _),) = options.items()
        with pytest.raises((TypeError, ValueError), match=f"`{name}` must"):
            build(directory=tmp_path, **options)
    assert not list(tmp_path.iterdir())


def test_models_without_what_a_search_needs_are_refused(tmp_path):
    plain = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1)])
    unbuilt = networks.compiled(keras.Sequential([keras.layers.Dense(1)]))
    for model, text in ((plain, "not compiled"), (unbuilt, "built")):
        with pytest.raises(ValueError, match=text):
            build(model, directory=tmp_path)
    fixed = networks.compiled(
        keras.Sequential([keras.Input((6,)), keras.layers.Dense(1)])
    )
    with pytest.raises(ValueError, match="at least one mutation"):
        build(fixed, directory=tmp_path).search(*DATA, validation_data=DATA)
    assert not list(tmp_path.rglob(FILE))


def test_searches_without_a_result_are_refused_before_training(tmp_path):
    class Loud(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            raise AssertionError("it trains")

    both = {"validation_data": DATA}
    split = {"validation_split": 0.5}
    few = [search.MaxParams(10)]
    none = [search.MaxParams(65)]
    grow = {"operations": ["widen", "deepen"], "constraints": none}
    cases = (
        ({}, {}, "validation_data=None"),
        ({"objective": "val_f1", "mode": "max"}, both, "objective='val_f1'"),
        ({"objective": "val_acc"}, split, "objective='val_acc'"),
        ({"objective": "acc"}, {}, "objective='acc'"),
        ({}, {**both, "epochs": 0}, "epochs=0"),
        ({}, {**both, "initial_epoch": 1}, "initial_epoch=1"),
        ({}, {"validation_data": iter([DATA])}, "after one pass"),
        ({"parent_epochs": 0, "objective": "loss"}, both, "parent_epochs=0"),
        ({"constraints": few}, both, "params=65"),
        (grow, both, "nearest child is: "),
    )
    wrong = []
    for options, arguments, text in cases:
        tuner = build(directory=tmp_path, overwrite=True, **options)
        try:
            tuner.search(*DATA, callbacks=[Loud()], **arguments)
        except ValueError as error:
            if text not in str(error):
                wrong.append(f"{text}: {error}")
        else:
            wrong.append(f"{text}: accepted")
        if tuner.trials:
            wrong.append(f"{text}: trained")
    assert not wrong
    with pytest.raises(ValueError, match="x=None"):
        build(directory=tmp_path).search(validation_data=DATA)
    with pytest.raises(ValueError, match="0 trials"):
        build(directory=tmp_path).report()


def test_a_layer_without_a_config_is_refused_before_training(tmp_path):
    class Needy(keras.layers.Layer):
        def __init__(self, size):
            super().__init__()
            self.size = size

        def call(self, x):
            return x * self.size

    parent = networks.build_mlp(extra=[Needy(2)])
    tuner = build(parent, directory=tmp_path)
    with pytest.raises(ValueError, match="get_config"):
        tuner.search(*DATA, validation_data=DATA)
    assert not tuner.trials


def test_the_folder_of_another_search_is_refused_and_kept(tmp_path):
    options = {"directory": tmp_path, "max_trials": 1, "parent_epochs": 0}
    build(**options).search(
        *DATA, validation_data=DATA, verbose=0, epochs=1, steps_per_epoch=1
    )
    adam, other_loss, trained = (networks.build_sequential() for _ in "abc")
    networks.compiled(adam, keras.optimizers.Adam(0.05))
    other_loss.compile(other_loss.optimizer, "mae", metrics=["mae"])
    trained.set_weights([1.5 * one for one in trained.get_weights()])
    for change, name in (
        ({"seed": 1}, "`seed`"),
        ({"strategy": "hill_climbing"}, "`strategy`"),
        ({"mode": "max"}, "`mode`"),
        ({"operations": ["widen"]}, "`operations`"),
        ({"factors": [3]}, "`factors`"),
        ({"constraints": search.MaxParams(70)}, "`constraints`"),
        ({"learning_rate": 0.5}, "`learning_rate`"),
        ({"final": 0.5}, "`final`"),
        ({"parent": adam}, "`optimizer`"),
        ({"parent": other_loss}, "`loss`"),
        ({"parent": networks.build_mlp()}, "`parent`"),
        ({"parent": trained}, "weights of `parent`"),
    ):
        with pytest.raises(ValueError, match=f"same {name}.*overwrite=True"):
            build(**{**options, **change})
    assert len(build(**options).trials) == 2
    assert not build(**options, overwrite=True).trials


@pytest.mark.no_backend
def test_the_direction_of_an_objective_is_that_of_its_name():
    for name, sign in (
        ("val_binary_crossentropy", -1),
        ("val_rmse", -1),
        ("val_kl_divergence", -1),
        ("val_poisson", -1),
        ("val_loss", -1),
        ("val_accuracy", 1),
        ("val_auc_1", 1),
    ):
        assert MorphismObjective.create(name, "auto").sign == sign, name
    assert MorphismObjective.create("val_bleu", "max").sign == 1
    with pytest.raises(ValueError, match="Received: objective='val_bleu'"):
        MorphismObjective.create("val_bleu", "auto")
