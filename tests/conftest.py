"""What several tests read by name stands beside this file, or in bench/."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

HERE = Path(__file__).parent

sys.path[:0] = [str(HERE), str(HERE / "startup"), str(HERE / "bench")]

pytest_plugins = ["recording"]

settings.register_profile("phonebook", deadline=None)  # a busy machine is no failure
settings.load_profile("phonebook")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return how many run side by side: more than there are cores, since many tests wait."""
    return (os.cpu_count() or 1) * 3 // 2
