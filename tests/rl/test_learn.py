"""The loop of training: logs, callbacks, and models that change."""

import math

import gymnasium as gym
import keras
import numpy as np
import pytest
from environments_by_hand import Chain, ScriptedVectorEnv

from keras_netopt import callbacks, rl, surgery

EPISODES = ([1.0, -2.0], [3.0, 0.5, 1.0])
ENDS = ("terminated", "truncated")


def policy(units=8):
    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(units, "tanh", name="hidden")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2, name="logits")(hidden))
    model.compile(keras.optimizers.Adam(0.01))
    return model


def make_agent(model=None, **arguments):
    return rl.PolicyGradient(
        model or policy(), short_chain, rollout_steps=4, **arguments
    )


def short_chain():
    return gym.wrappers.TimeLimit(Chain(), 5)


class Log(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.events = []

    def on_train_begin(self, logs=None):
        self.events.append((self.params["epochs"], self.params["steps"]))

    def on_epoch_begin(self, epoch, logs=None):
        self.events.append(f"epoch {epoch}")

    def on_train_batch_end(self, batch, logs=None):
        self.events.append(f"batch {batch}")
        assert {"loss", "value_loss", "entropy"} <= set(logs)

    def on_train_end(self, logs=None):
        self.events.append("end")


def test_callbacks_see_epochs_and_batches():
    log = Log()

    history = make_agent().learn(
        120, steps_per_epoch=64, callbacks=[log], verbose=0
    )

    epoch = ["batch 0", "batch 1"]
    assert log.events == [
        (2, 2), "epoch 0", *epoch, "epoch 1", *epoch, "end"
    ]  # fmt: skip
    assert history.history["environment_steps"] == [64, 128]
    assert history.epoch == [0, 1]


def test_logs_are_means_over_the_episodes_that_ended():
    environment = ScriptedVectorEnv(EPISODES, ENDS)
    agent = rl.PolicyGradient(policy(), environment, rollout_steps=1)

    found = agent.learn(12, steps_per_epoch=2, verbose=0).history

    # Returns are -1 after 2 steps, 4.5 after 3 steps; then both are reset.
    assert math.isnan(found["episode_return"][0])
    assert found["episode_return"][1:] == [-1.0, 4.5, 4.5, -1.0, -1.0]
    assert found["episode_length"][1:] == [2.0, 3.0, 3.0, 2.0, 2.0]
    assert found["episodes"] == [0, 1, 1, 0, 1, 0]
    assert found["environment_steps"] == [2, 4, 5, 6, 8, 9]
    assert [(e.end, e.episode_return) for e in agent.episodes] == [
        (4, -1.0), (5, 4.5), (8, -1.0)
    ]  # fmt: skip


def test_a_further_call_goes_on_with_the_last_means():
    """The first epoch of the second call has no end of an episode."""
    environment = ScriptedVectorEnv(EPISODES, ENDS)
    agent = rl.PolicyGradient(policy(), environment, rollout_steps=1)
    agent.learn(6, steps_per_epoch=2, verbose=0)

    found = agent.learn(2, verbose=0).history

    assert found["episodes"] == [0]
    assert found["episode_return"] == [4.5]
    assert found["episode_length"] == [3.0]


def test_epochs_without_an_update_have_a_loss_of_nan():
    agent = rl.DQN(policy(), short_chain, learning_starts=16)

    found = agent.learn(24, steps_per_epoch=8, verbose=0).history

    assert {len(values) for values in found.values()} == {3}
    assert np.isfinite(found["loss"]).tolist() == [False, True, True]


@pytest.mark.parametrize("verbose", ["0", "1", "2", True, 3, None])
def test_what_is_no_verbosity_is_refused(verbose):
    with pytest.raises(ValueError, match="`verbose` must be"):
        make_agent().learn(1, verbose=verbose)


def test_backups_are_refused_before_training(tmp_path):
    """They would restore a model whose environments start anew."""
    agent = make_agent()
    backup = keras.callbacks.BackupAndRestore(tmp_path)

    with pytest.raises(ValueError, match="must not hold BackupAndRestore"):
        agent.learn(32, callbacks=[backup], verbose=0)

    assert agent.environment_steps == 0


def test_early_stopping_and_checkpoints_read_the_return(tmp_path):
    path = tmp_path / "best.keras"
    agent = make_agent(model := policy())
    stop = keras.callbacks.EarlyStopping(
        "episode_return", mode="max", patience=1, min_delta=9.0
    )
    best = keras.callbacks.ModelCheckpoint(
        path, "episode_return", mode="max", save_best_only=True
    )

    history = agent.learn(
        320, steps_per_epoch=32, callbacks=[stop, best], verbose=0
    )

    assert len(history.epoch) == 2
    loaded = keras.models.load_model(path)
    assert isinstance(loaded.loss, rl.PolicyGradientLoss)
    agent.learn(32, verbose=0)
    again = rl.PolicyGradient(loaded, Chain, rollout_steps=4)
    assert int(loaded.optimizer.iterations) > 0
    again.learn(32, verbose=0)
    assert loaded.count_params() == model.count_params()


def test_a_progress_bar_shows_the_return(capsys):
    make_agent().learn(32, verbose=2)

    assert "episode_return" in capsys.readouterr().out


def zeros(model):
    kernel = keras.ops.convert_to_numpy(model.get_layer("hidden").kernel)
    return float(np.mean(kernel == 0.0))


def test_a_policy_is_pruned_while_it_learns_and_stays_pruned():
    agent = make_agent(model := policy())
    pruning = callbacks.Pruning(0.5, include="hidden")

    agent.learn(128, steps_per_epoch=64, callbacks=[pruning], verbose=0)
    kernel = model.get_weights()[0]

    assert zeros(model) == 0.5
    # Its masks go on in an agent of another task.
    rl.DQN(model, Chain, learning_starts=4).learn(40, verbose=0)
    assert zeros(model) == 0.5
    assert not np.array_equal(kernel, model.get_weights()[0])


@pytest.mark.parametrize("kind", [rl.PolicyGradient, rl.DQN])
def test_a_policy_grows_while_it_learns(kind):
    agent = kind(model := policy(), Chain)
    if kind is rl.DQN:
        agent.learning_starts = 4
    growing = callbacks.Growing(
        surgery.Widen("hidden", to=12), {0.5: [0]}, verbose=0
    )

    agent.learn(512, steps_per_epoch=256, callbacks=[growing], verbose=0)

    assert model.get_layer("hidden").units == 12


def test_a_model_grown_between_two_calls_goes_on():
    agent = make_agent(model := policy())
    agent.learn(32, verbose=0)
    surgery.widen(model, layer="hidden", to=12)
    before = model.get_weights()

    agent.learn(32, verbose=0)

    after = model.get_weights()
    assert all(
        not np.array_equal(*pair) for pair in zip(before, after, strict=True)
    )
