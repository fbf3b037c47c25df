"""Answers with a network that leaves early: numpy and LiteRT alone.

Stands beside `thresholds.json` and the stage files it names:

    python runner.py sample.npy

or, in a program, `DeviceRunner(folder).run(sample)` for one sample with a
batch axis of 1, or a dictionary of samples by input name.
"""

import json
import os
import sys

import numpy as np


def _interpreter(path):
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        from tensorflow.lite.python.interpreter import Interpreter
    return Interpreter(model_path=path, num_threads=1)


class DeviceStage:
    """One file, run by the names in its signature."""

    def __init__(self, folder, row):
        path = os.path.join(folder, row["file"])
        self.runner = _interpreter(path).get_signature_runner()
        self.inputs = row["inputs"]
        self.threshold = row["threshold"]

    def run(self, held):
        """Returns the outputs by name."""
        return self.runner(**{name: held[name] for name in self.inputs})


class DeviceRunner:
    """The stages and the thresholds between them.

    Args:
        folder: The folder that was exported. Defaults to `None`: this one.
    """

    def __init__(self, folder=None):
        folder = folder or os.path.dirname(os.path.abspath(__file__))
        with open(
            os.path.join(folder, "thresholds.json"), encoding="utf-8"
        ) as file:
            self.settings = json.load(file)
        self.stages = [
            DeviceStage(folder, row) for row in self.settings["stages"]
        ]

    def run(self, x):
        """Answers one sample.

        Args:
            x: An array with a batch axis of 1, or a dictionary of them.

        Returns:
            The answer, and the number of the exit.
        """
        held = dict(x) if isinstance(x, dict) else {self._only(): x}
        for number, stage in enumerate(self.stages):
            made = stage.run(held)
            answer = made.pop("logits")
            held.update(made)
            if number == len(self.stages) - 1 or self._is_sure(
                answer, stage.threshold
            ):
                return answer, number
        raise ValueError("thresholds.json names no stage")

    def _only(self):
        names = self.settings["inputs"]
        if len(names) != 1:
            raise ValueError(f"Pass a dictionary with the inputs {names}")
        return names[0]

    def _is_sure(self, answer, threshold):
        if threshold is None:
            return False
        likely = self._probabilities(answer[0].astype("float64"))
        criterion = self.settings["criterion"]
        if criterion == "entropy":
            logs = np.log(np.maximum(likely, np.finfo("float64").tiny))
            return -(likely * logs).sum() <= threshold
        second, first = np.sort(likely)[-2:]
        sure = first if criterion == "confidence" else first - second
        return sure >= threshold

    def _probabilities(self, answer):
        is_probability = self.settings["answers"] == "probabilities"
        if not is_probability:
            answer = answer / self.settings["temperature"]
        if len(answer) == 1:
            value = (
                answer[0] if is_probability else 1 / (1 + np.exp(-answer[0]))
            )
            return np.array([1.0 - value, value])
        if is_probability:
            return answer
        answer = np.exp(answer - answer.max())
        return answer / answer.sum()


if __name__ == "__main__":
    found, place = DeviceRunner().run(np.load(sys.argv[1]))
    print(f"class {int(found[0].argmax())}, exit {place}")
