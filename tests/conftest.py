"""Settings that all tests share: hypothesis draws the same examples every time, new ones with the slow tests."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

_UNHURRIED = {
    "deadline": None,  # the first example of a test may build a program, and machines are busy
    "database": None,
    "suppress_health_check": [HealthCheck.too_slow],
}
settings.register_profile("same", derandomize=True, **_UNHURRIED)
settings.register_profile("new", print_blob=True, **_UNHURRIED)


def pytest_configure(config: pytest.Config) -> None:
    """`-m slow`, or anything else that lets slow tests run, searches for new examples each time."""
    settings.load_profile("same" if config.getoption("markexpr") == "not slow" else "new")
