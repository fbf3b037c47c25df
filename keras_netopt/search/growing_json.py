"""JSON of a state whose long lists and dictionaries mostly grow."""

import json
from collections.abc import Mapping
from typing import Any

# None of these can change.
_PLAIN = frozenset((str, int))


class GrowingJson:
    """Encodes a dictionary again and again; what did not change is kept.

    A list or a dictionary that only got new items at its end since the last
    call costs one comparison and the encoding of these items.

    Example:

    >>> from keras_netopt.search.growing_json import GrowingJson
    >>> encoder = GrowingJson()
    >>> encoder.encode({"order": ["0", "1"], "seed": 3})
    '{"order": ["0", "1"], "seed": 3}'
    >>> encoder.encode({"order": ["0", "1", "2"], "seed": 4})
    '{"order": ["0", "1", "2"], "seed": 4}'
    """

    def __init__(self) -> None:
        # The keys, values and text of each entry.
        self._known: dict[str, tuple[Any, list[Any], str]] = {}

    def encode(self, state: Mapping[str, Any]) -> str:
        """Returns what `json.dumps` does; keys must be strings.

        An item that was replaced by an equal one, such as 1 by 1.0, keeps its
        text.
        """
        parts = (
            f"{json.dumps(key)}: {self._encode(key, value)}"
            for key, value in state.items()
        )
        return f"{{{', '.join(parts)}}}"

    def _encode(self, name: str, value: Any) -> str:
        if isinstance(value, dict):
            keys, values = list(value), list(value.values())
        elif isinstance(value, list):
            keys, values = None, list(value)
        else:
            return json.dumps(value)
        before, old, text = self._known.get(name, (keys, [], ""))
        count = len(old)
        if _begin(keys, count) != before or values[:count] != old:
            count, text = 0, ""
        new: Any = values[count:]
        plain = new
        if keys is not None:
            new = dict(zip(keys[count:], new, strict=True))
            plain = [*new, *new.values()]
        if not _PLAIN.issuperset(map(type, plain)):
            self._known.pop(name, None)
            return json.dumps(value)
        added = json.dumps(new)[1:-1]
        text = f"{text}, {added}" if text and added else text or added
        self._known[name] = keys, values, text
        return f"[{text}]" if keys is None else f"{{{text}}}"


def _begin(keys: list[Any] | None, count: int) -> list[Any] | None:
    return None if keys is None else keys[:count]
