"""What callbacks add to the logs, before it is their turn."""

import keras

from keras_netopt.training.checkpoint_state import CheckpointState
from keras_netopt.training.resumable_callback import ResumableCallback


def current_logs(model: keras.Model) -> dict[str, float]:
    """Returns the values of all resumable callbacks of a model.

    A callback that saves may be listed first, so that the logs of the ending
    epoch lack them.
    """
    found: dict[str, float] = {}
    for state in CheckpointState.of(model).states.values():
        if isinstance(state, ResumableCallback):
            found |= state.progress_logs()
    return found
