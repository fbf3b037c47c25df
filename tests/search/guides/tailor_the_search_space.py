"""A script as in KerasTuner's guide "Tailor the search space"."""

import keras
import keras_tuner
import numpy as np

rng = np.random.default_rng(0)
x_train = rng.normal(size=(32, 6)).astype("float32")
y_train = (x_train[:, 0] > 0).astype("int32")
x_val, y_val = x_train[:16], y_train[:16]


def build_model(hp):
    model = keras.Sequential([keras.Input((6,))])
    for i in range(hp.Int("num_layers", 1, 2)):
        units = hp.Int(f"units_{i}", 2, 6, step=2)
        model.add(keras.layers.Dense(units, activation="relu"))
    model.add(keras.layers.Dense(2, activation="softmax"))
    rate = hp.Float("lr", 1e-4, 1e-1, sampling="log")
    model.compile(
        keras.optimizers.SGD(rate),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        run_eagerly=True,
    )
    return model


# Fix the learning rate, and search a few units.

spaces = {}
for tune_new_entries in (True, False):
    hp = keras_tuner.HyperParameters()
    hp.Fixed("lr", value=1e-3)
    hp.Choice("units_0", [2, 6])
    tuner = keras_tuner.RandomSearch(
        build_model,
        hyperparameters=hp,
        tune_new_entries=tune_new_entries,
        objective="val_accuracy",
        max_trials=2,
        overwrite=True,
        directory="my_dir",
        project_name=f"search_a_few_{tune_new_entries}",
    )
    tuner.search(x_train, y_train, epochs=1, validation_data=(x_val, y_val))
    spaces[tune_new_entries] = tuner.oracle.get_space().space

# Open the last project again.

reopened = keras_tuner.RandomSearch(
    build_model,
    hyperparameters=hp,
    tune_new_entries=False,
    objective="val_accuracy",
    max_trials=2,
    overwrite=False,
    directory="my_dir",
    project_name="search_a_few_False",
)

# Replace the arguments of `compile`.

tuner = keras_tuner.RandomSearch(
    build_model,
    optimizer=keras.optimizers.SGD(1e-3),
    loss="poisson",
    metrics=["mae"],
    objective="val_loss",
    max_trials=2,
    overwrite=True,
    directory="my_dir",
    project_name="all_in_one",
)
tuner.search(
    x_train,
    np.eye(2)[y_train],
    epochs=1,
    validation_data=(x_val, np.eye(2)[y_val]),
)
model = tuner.get_best_models()[0]
