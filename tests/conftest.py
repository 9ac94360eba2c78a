"""What several tests read by name stands beside this file, or in bench/."""

import sys
from pathlib import Path

from hypothesis import settings

HERE = Path(__file__).parent

sys.path[:0] = [str(HERE), str(HERE / "startup"), str(HERE / "bench")]

pytest_plugins = ["recording"]

settings.register_profile("phonebook", deadline=None)  # a busy machine is no failure
settings.load_profile("phonebook")
