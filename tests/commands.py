"""Commands as people run them, with no settings in the environment but those that are given."""

import json
import os
import subprocess
import sys
from pathlib import Path

CLEAN = {name: text for name, text in os.environ.items() if not name.startswith("PHONEBOOK_")}


def phonebook(*arguments: str | Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run `phonebook`."""
    done = subprocess.run(
        [sys.executable, "-m", "phonebook", *map(str, arguments)],
        env={**CLEAN, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def shown(*arguments: str | Path, **variables: str) -> dict[str, tuple[object, str]]:
    """Return what `config` says: by key the value, and its source."""
    done = phonebook("config", "--json", *arguments, **variables)
    assert done.returncode == 0, done.stderr
    return {each["key"]: (each["value"], each["source"]) for each in json.loads(done.stdout)}
