"""The data folder, for the tests that need the public data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder named by TOOLWRIGHT_DATA; the test is skipped without it."""
    folder = os.environ.get("TOOLWRIGHT_DATA")
    if not folder:
        pytest.skip("TOOLWRIGHT_DATA is not set")
    return Path(folder)
