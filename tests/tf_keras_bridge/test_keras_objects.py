"""Objects of Keras 3 become those of tf_keras."""

import keras
import pytest

from keras_netopt.tf_keras_bridge.keras_objects import convert_objects

tf_keras = pytest.importorskip("tf_keras")


def test_optimizers_losses_and_metrics_keep_their_settings():
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10, alpha=0.5)
    made = convert_objects(keras.optimizers.Adam(schedule, beta_1=0.5))
    assert isinstance(made, tf_keras.optimizers.Adam)
    assert made.beta_1 == 0.5
    assert made.get_config()["learning_rate"]["config"]["alpha"] == 0.5
    made = convert_objects(keras.optimizers.SGD(0.25, momentum=0.5))
    assert float(made.learning_rate) == 0.25
    assert made.momentum == 0.5
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.25)
    made = convert_objects({"out": [loss, "mse"]})["out"]
    assert isinstance(made[0], tf_keras.losses.CategoricalCrossentropy)
    assert made[0].get_config()["label_smoothing"] == 0.25
    assert made[1] == "mse"
    made = convert_objects([keras.metrics.SparseTopKCategoricalAccuracy(k=2)])
    assert made[0].get_config()["k"] == 2
    made = convert_objects(keras.losses.sparse_categorical_crossentropy)
    assert made is tf_keras.losses.sparse_categorical_crossentropy
    own = tf_keras.optimizers.Adam()
    assert convert_objects(own) is own


def test_what_tf_keras_lacks_is_refused():
    class OwnLoss(keras.losses.Loss):
        def call(self, y_true, y_pred):
            return y_pred

    for value in (OwnLoss(), keras.optimizers.Lamb()):
        with pytest.raises(TypeError, match="object of tf_keras"):
            convert_objects(value)
    with pytest.raises(TypeError, match="gradient_accumulation_steps"):
        convert_objects(keras.optimizers.SGD(gradient_accumulation_steps=2))
    with pytest.raises(TypeError, match="tf_keras.callbacks.EarlyStopping"):
        convert_objects([keras.callbacks.EarlyStopping()])
