"""Whether exported files decide as the Keras model does."""

from typing import TYPE_CHECKING

import numpy as np

from keras_netopt.depth.exits import device_runner
from keras_netopt.depth.exits.confidence import scores
from keras_netopt.depth.exits.exit_state import ExitState
from keras_netopt.depth.exits.runner import Arrays, Runner
from keras_netopt.export.export_error import ExportError

if TYPE_CHECKING:
    from keras_netopt.depth.exits.calibrated_exits import CalibratedExits

CLOSE = 1e-5  # Scores nearer than this to a threshold may fall either way.
TOLERANCE = 1e-4


def check_decisions(
    exits: "CalibratedExits",
    state: ExitState,
    folder: str,
    feeds: Arrays,
    *,
    exact: bool,
) -> list[int]:
    """Runs the folder sample by sample, as a device does.

    Args:
        exits: The calibrated exits.
        state: The thresholds in the folder.
        folder: Where the files are.
        feeds: Inputs by name.
        exact: Whether answers and exits must be those of Keras.

    Returns:
        The exit of each sample.

    Raises:
        ExportError: If an answer or an exit is another one.
    """
    device = device_runner.Exits(folder)
    count = len(next(iter(feeds.values())))
    wanted, exit_of = Runner(exits.stages, state.rule).run(feeds)
    sure = _far_from_thresholds(exits, state, feeds)
    left = []
    for k in range(count):
        sample = {name: array[k : k + 1] for name, array in feeds.items()}
        answer, number = device.run(sample)
        left.append(number)
        if not exact or not sure[k]:
            continue
        gap = float(np.abs(answer[0] - wanted[k]).max())
        limit = TOLERANCE * max(1.0, float(np.abs(wanted[k]).max()))
        if number != exit_of[k] or gap > limit:
            raise ExportError(
                f"The files decide otherwise than the model: sample {k} "
                f"leaves at exit {number} in place of {exit_of[k]}, and its "
                f"answer differs by {gap:.3g}. Report this with the model, "
                "please."
            )
    return left


def _far_from_thresholds(
    exits: "CalibratedExits", state: ExitState, feeds: Arrays
) -> np.ndarray:
    """Whether no rounding can move a sample across a threshold."""
    sure = keras_scores(exits, feeds)
    gaps = np.abs(sure[:, :-1] - np.array(state.rule.thresholds[:-1]))
    return np.asarray(gaps.min(axis=1, initial=np.inf) > CLOSE)


def keras_scores(exits: "CalibratedExits", feeds: Arrays) -> np.ndarray:
    """How sure the Keras model is at every exit.

    Args:
        exits: The calibrated exits.
        feeds: Inputs by name.

    Returns:
        Shape `(samples, exits)`.
    """
    packed = exits.stages.pack(feeds, exits.exit_model.input)
    found = exits.exit_model.predict(packed, verbose=0)
    rule = exits.state.rule
    columns = [
        scores(np.asarray(found[n]), rule.criterion, rule.is_probability)
        for n in exits.exit_names
    ]
    return np.stack(columns, axis=1)
