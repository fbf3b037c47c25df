"""The reasons that TFLite Micro writes to stderr, as text."""

import re

MISSING = re.compile(r"Didn't find op for builtin opcode '(\w+)'")
NODE = re.compile(
    r"Node (\S+) \(number (\d+)f?\) failed to (prepare|invoke) with status"
)
PLACE = re.compile(r"^\S+\.(?:cc|h)(?::\d+)?:? ")
SMALL = re.compile(r"Failed to (?:resize|allocate)|[Mm]issing: \d+")
NOISE = re.compile(
    r"INFO:|WARNING:|W0000|I0000|Failed to get registration|^\s*$|\[Recording"
)
LINES = 2  # Of the last messages, where none is known.


def explain_refusal(stderr: str) -> str:
    """Returns the reason for which the runtime refused a file.

    Example:

    >>> explain_refusal("Didn't find op for builtin opcode 'DENSIFY'")
    'it lacks the op DENSIFY'

    Args:
        stderr: What the process wrote.

    Returns:
        One line; an empty string if there is no message.
    """
    if found := MISSING.findall(stderr):
        return f"it lacks the op {', '.join(dict.fromkeys(found))}"
    lines = [
        PLACE.sub("", line.strip())
        for line in stderr.splitlines()
        if not NOISE.search(line)
    ]
    if node := NODE.search(stderr):
        messages = [line for line in lines if not NODE.search(line)]
        because = f": {'; '.join(messages[:LINES])}" if messages else ""
        text = f"op {node[1]} (number {node[2]}) failed to {node[3]}"
        return f"{text}{because}"[:300]
    if "CUSTOM" in stderr:
        return "it lacks a custom op of the file"
    return "; ".join(lines[-LINES:])[:300]
