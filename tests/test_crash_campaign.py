"""The campaign of `benchmarks.crashes` kills every callback and tuner."""

import pytest

from keras_netopt import registry


@pytest.mark.no_backend
def test_every_public_callback_has_a_case():
    from benchmarks.crashes.cases import list_cases

    cases = list_cases()
    first = [row.name for row in registry.METHODS if row.kind == "callback"]
    assert [case.component for case in cases[: len(first)]] == first
    names = [case.name for case in cases]
    assert len(names) == len(set(names))
