"""What several tests read by name stands beside this file: documents.py, servers.py."""

import sys
from pathlib import Path

from hypothesis import settings

HERE = Path(__file__).parent

sys.path[:0] = [str(HERE), str(HERE / "startup")]

pytest_plugins = ["recording"]

settings.register_profile("phonebook", deadline=None)  # a busy machine is no failure
settings.load_profile("phonebook")
