"""Reasons why a call in a model cannot be traced."""

from keras_netopt.graph.open_call import OpaqueCallError


def describe_error(error: Exception) -> str:
    """Describes an error in one line of at most 160 characters."""
    first_line = str(error).strip().partition("\n")[0][:160]
    if isinstance(error, OpaqueCallError):
        return first_line
    return f"{type(error).__name__}: {first_line}"


def not_computed(error: Exception) -> str:
    """Returns the reason where the shapes of a call raise an error."""
    return f"its shapes cannot be computed ({describe_error(error)})"
