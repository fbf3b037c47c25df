"""Says why `quantize="dynamic"` makes a file no smaller."""

import collections

from keras_netopt.cost.tflite_model import iterate_operators

SMALLEST = 1024  # Elements from which the converter quantizes weights.
SAVES_NOTHING = 0.95  # Bytes over the bytes of the float file.


def explain_no_saving(content: bytes, ratio: float) -> list[str]:
    """Returns a warning if a file is about as large as the float file.

    Args:
        content: The file that was quantized with "dynamic".
        ratio: Its bytes over the bytes of the float file.
    """
    if ratio < SAVES_NOTHING:
        return []
    largest = _largest_float_weights(content)
    kept = {op: size for op, size in largest.items() if size >= SMALLEST}
    if kept:
        listed = ", ".join(f"{op} ({n:,})" for op, n in kept.items())
        reason = f"these ops keep their weights in float: {listed}"
    elif _holds_integers(content):
        reason = "its large weights are integers already"
    elif largest:
        reason = (
            f"the largest weights have {max(largest.values()):,} elements, and "
            f"the converter quantizes weights of {SMALLEST:,} elements or more"
        )
    else:
        reason = "the file holds no weights"
    return [f"'dynamic' saves nothing, {ratio:.2f} x the float file: {reason}."]


def _holds_integers(content: bytes) -> bool:
    """Whether weights large enough for the converter are integers."""
    return any(
        tensor.is_constant
        and tensor.dtype in ("INT8", "INT4")
        and tensor.elements >= SMALLEST
        for _, inputs in iterate_operators(content)
        for tensor in inputs
    )


def _largest_float_weights(content: bytes) -> dict[str, int]:
    """Returns the elements of the largest float constant of each operator."""
    found: collections.Counter[str] = collections.Counter()
    for name, inputs in iterate_operators(content):
        for tensor in inputs:
            if tensor.is_constant and tensor.dtype == "FLOAT32":
                found[name] = max(found[name], tensor.elements)
    return dict(found.most_common())
