"""Runs exported early-exit stages with numpy and the LiteRT interpreter.

The file is placed next to `thresholds.json` and the stage files named there:

    python runner.py sample.npy

In a program, `DeviceRunner(folder).run(sample)` takes one sample with a batch
axis of 1, or a dictionary of such arrays by input name.
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
    """One stage file, run by the names in its signature."""

    def __init__(self, folder, row):
        path = os.path.join(folder, row["file"])
        self.runner = _interpreter(path).get_signature_runner()
        self.inputs = row["inputs"]
        self.threshold = row["threshold"]

    def run(self, tensors):
        """Returns the outputs by name."""
        return self.runner(**{name: tensors[name] for name in self.inputs})


class DeviceRunner:
    """The stages and the exit thresholds between them.

    Args:
        folder: The exported folder. Defaults to `None`: the folder of this
            file.
    """

    def __init__(self, folder=None):
        folder = folder or os.path.dirname(os.path.abspath(__file__))
        path = os.path.join(folder, "thresholds.json")
        try:
            with open(path, encoding="utf-8") as file:
                self.settings = json.load(file)
            rows = list(self.settings["stages"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path} cannot be read as the thresholds of exits: {error!r}. "
                "Copy or export the folder again."
            ) from error
        self.stages = [DeviceStage(folder, row) for row in rows]

    def run(self, x):
        """Predicts one sample.

        Args:
            x: An array with a batch axis of 1, or a dictionary of them.

        Returns:
            The prediction, and the index of the exit.
        """
        tensors = dict(x) if isinstance(x, dict) else {self._only_input(): x}
        for index, stage in enumerate(self.stages):
            outputs = stage.run(tensors)
            prediction = outputs.pop("logits")
            tensors.update(outputs)
            if index == len(self.stages) - 1 or self._is_confident(
                prediction, stage.threshold
            ):
                return prediction, index
        raise ValueError("thresholds.json lists no stage")

    def _only_input(self):
        names = self.settings["inputs"]
        if len(names) != 1:
            raise ValueError(f"Pass a dictionary with the inputs {names}")
        return names[0]

    def _is_confident(self, prediction, threshold):
        if threshold is None:
            return False
        probabilities = self._probabilities(prediction[0].astype("float64"))
        criterion = self.settings["criterion"]
        if criterion == "entropy":
            logs = np.log(np.maximum(probabilities, np.finfo("float64").tiny))
            return -(probabilities * logs).sum() <= threshold
        second, first = np.sort(probabilities)[-2:]
        score = first if criterion == "confidence" else first - second
        return score >= threshold

    def _probabilities(self, prediction):
        is_probability = self.settings["output_type"] == "probabilities"
        if not is_probability:
            prediction = prediction / self.settings["temperature"]
        if len(prediction) == 1:
            value = prediction[0]
            if not is_probability:
                value = 1 / (1 + np.exp(-value))
            return np.array([1.0 - value, value])
        if is_probability:
            return prediction
        prediction = np.exp(prediction - prediction.max())
        return prediction / prediction.sum()


if __name__ == "__main__":
    found, exit_index = DeviceRunner().run(np.load(sys.argv[1]))
    print(f"class {int(found[0].argmax())}, exit {exit_index}")
