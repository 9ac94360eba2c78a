"""What several tests read by name stands beside this file: documents.py, servers.py."""

import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))

settings.register_profile("phonebook", deadline=None)  # a busy machine is no failure
settings.load_profile("phonebook")
