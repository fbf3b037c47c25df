"""Checks that a registry row exempts a component from."""

import contextlib
from collections.abc import Iterator

import pytest


@contextlib.contextmanager
def expect_failure(component: str, check: str, reason: str) -> Iterator[None]:
    """Marks a failure as expected; fails if there is none."""
    try:
        yield
    except Exception as error:
        pytest.xfail(f"{component} is exempt from {check}: {reason} ({error})")
    pytest.fail(
        f"{component} passes {check} now: remove it from `limits` of its "
        f"registry row ({reason})"
    )
