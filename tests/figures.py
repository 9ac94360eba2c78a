"""What a process holds, as the kernel tells it: memory, open files, threads; and room for files."""

import contextlib
import os
import re
import resource
from pathlib import Path
from typing import NamedTuple


class Held(NamedTuple):
    """What a process holds; memory in kibibytes."""

    rss: int
    pss: int
    dirty: int
    """Private_Dirty: nobody else has it, and no file."""
    files: int
    threads: int


def held(pid: int) -> Held:
    """Return what a process holds now. Raises `OSError` if it has gone."""
    memory = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = dict(re.findall(r"^(\w+): +(\d+) kB", memory, re.MULTILINE))
    status = Path(f"/proc/{pid}/status").read_text()
    return Held(
        int(found["Rss"]),
        int(found["Pss"]),
        int(found["Private_Dirty"]),
        len(os.listdir(f"/proc/{pid}/fd")),
        int(re.findall(r"^Threads:\s+(\d+)", status, re.MULTILINE)[0]),
    )


def sockets(pid: int) -> set[str]:
    """Return the names that the kernel has for the sockets of a process."""
    folder = Path(f"/proc/{pid}/fd")
    with contextlib.suppress(OSError):
        return {name for each in folder.iterdir() if (name := os.readlink(each))[:6] == "socket"}
    return set()


def room_for_files() -> int:
    """Raise the limit of open files, also for processes begun from now on; return what it is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
