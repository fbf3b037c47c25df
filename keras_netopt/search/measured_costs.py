"""Costs that were measured on this machine, by key, kept in a file."""

import os
import platform

from keras_netopt.search.storage import read_json, write_json


class MeasuredCosts:
    """Costs by key, in memory and, if there is a path, in a file.

    The file belongs to one machine: the costs of another one are ignored.
    Several objects and searches may share a file.
    """

    def __init__(self, path: str | None = None) -> None:
        self.path = path
        self._known: dict[str, float] = {}

    def find(self, key: str) -> float | None:
        """Returns a known cost, `None` if there is none."""
        if key not in self._known:
            self._known |= self._read()
        return self._known.get(key)

    def add(self, key: str, cost: float) -> None:
        """Stores a cost."""
        self._known[key] = cost
        # The folder of a search may be deleted before its limits are.
        if self.path and os.path.isdir(os.path.dirname(self.path) or "."):
            # Another process may have written, or replaced, in between.
            self._known = {**self._read(), **self._known}
            costs = self._known
            content = {"machine": describe_machine(), "costs": costs}
            write_json(self.path, content)

    def _read(self) -> dict[str, float]:
        if self.path is None or not os.path.exists(self.path):
            return {}
        content = read_json(self.path)
        if content.get("machine") != describe_machine():
            return {}
        return {key: float(cost) for key, cost in content["costs"].items()}


def describe_machine() -> str:
    """Returns name and processor of this machine."""
    return f"{platform.node()} {platform.machine()} {os.cpu_count()}"
