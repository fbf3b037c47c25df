"""What becomes of a check that a registry row says a piece cannot pass."""

import contextlib
from collections.abc import Iterator

import pytest


@contextlib.contextmanager
def expect_failure(piece: str, check: str, reason: str) -> Iterator[None]:
    """Shows a failure as an exemption, and fails where there is none."""
    try:
        yield
    except Exception as error:
        pytest.xfail(f"{piece} is exempt from {check}: {reason} ({error})")
    pytest.fail(
        f"{piece} passes {check} now: take it out of its registry row's "
        f"`limits` ({reason})"
    )
