"""What these tests share is imported by name: targets.py."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
