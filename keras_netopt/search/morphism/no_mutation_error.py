"""The error of a network that cannot be changed."""


class NoMutationError(ValueError):
    """No mutation of a network is possible, or keeps the limits."""
