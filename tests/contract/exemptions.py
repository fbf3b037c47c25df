"""Checks that a registry row exempts a component from."""

import contextlib
from collections.abc import Iterator

import pytest


@contextlib.contextmanager
def expect_failure(component: str, check: str, reason: str) -> Iterator[None]:
    """Shows a failure as an exemption, and fails where there is none."""
    try:
        yield
    except Exception as error:
        pytest.xfail(f"{component} is exempt from {check}: {reason} ({error})")
    pytest.fail(
        f"{component} passes {check} now: take it out of its registry row's "
        f"`limits` ({reason})"
    )
