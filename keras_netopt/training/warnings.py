"""The house's warnings."""


class NoEffectWarning(UserWarning):
    """A method that will do nothing, or did less than it was asked to."""


class NotIntendedUseWarning(UserWarning):
    """A setting that runs but that its authors advise against."""
