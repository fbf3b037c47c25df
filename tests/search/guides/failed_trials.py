"""A script as in KerasTuner's guide "Handling failed trials"."""

import keras
import keras_tuner
import numpy as np

rng = np.random.default_rng(0)
x_train = rng.normal(size=(32, 6)).astype("float32")
y_train = (x_train[:, 0] > 0).astype("int32")


def build_model(hp):
    units = [hp.Int(f"units_{i}", 2, 8, step=2) for i in range(2)]
    if sum(units) > 8:
        raise keras_tuner.errors.FailedTrialError("Model too large.")
    model = keras.Sequential([keras.Input((6,))])
    for size in units:
        model.add(keras.layers.Dense(size))
    model.add(keras.layers.Dense(1))
    model.compile("sgd", "mse", run_eagerly=True)
    return model


tuner = keras_tuner.RandomSearch(
    hypermodel=build_model,
    objective="val_loss",
    max_trials=4,
    seed=3,
    overwrite=True,
    max_retries_per_trial=1,
    max_consecutive_failed_trials=4,
    directory="my_dir",
    project_name="failed_trials",
)
tuner.search(x_train, y_train, epochs=1, validation_split=0.5)
tuner.results_summary()
