"""A script as in the guide "Visualize the hyperparameter tuning process"."""

import keras
import keras_tuner
import numpy as np

rng = np.random.default_rng(0)
x_train = rng.normal(size=(32, 6)).astype("float32")
y_train = (x_train[:, 0] > 0).astype("int32")


def build_model(hp):
    units = hp.Choice("units", [2, 4, 8])
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(units, activation="relu"),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )
    model.compile(
        "sgd",
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        run_eagerly=True,
    )
    return model


tuner = keras_tuner.RandomSearch(
    build_model,
    max_trials=2,
    overwrite=True,
    objective="val_accuracy",
    directory="tb",
    project_name="visualize",
)
tuner.search(
    x_train,
    y_train,
    validation_split=0.5,
    epochs=1,
    callbacks=[keras.callbacks.TensorBoard("tb_logs")],
)
