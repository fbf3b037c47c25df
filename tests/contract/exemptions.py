"""Checks that a registry row exempts a component from."""

import contextlib
from collections.abc import Iterator

import pytest


@contextlib.contextmanager
def expect_failure(component: str, check: str, reason: str) -> Iterator[None]:
    """Passes if the check fails, as the registry row says; else it fails."""
    try:
        yield
    except AssertionError:
        return
    pytest.fail(
        f"{component} passes {check} now: remove it from `limits` of its "
        f"registry row ({reason})"
    )
