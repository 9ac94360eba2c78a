"""What several tests read by name stands beside this file: documents.py, servers.py."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
