"""Work done in a second process, beside this one: a large directory takes both cores.

What is handed back comes through a pipe, so it is plain: numbers, text, octets, and lists, tuples,
sets and dicts of these. Where there is no second process, or it dies, the work is done here.
"""

import gc
import marshal
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

Work = Callable[[], Any]
"""What is asked for a plain result, once."""

Begin = Callable[[Work], Work]
"""Begins some work; what it returns waits for the result."""


def later(work: Work) -> Work:
    """Do the work here, when its result is asked for."""
    return work


def beside(work: Work, killed: Work | None = None) -> Work:
    """Do the work in a copy of this process, which must have no other thread.

    Where that is `killed`, this is done here: the work itself if nothing else is given.
    """
    try:
        reading, writing = os.pipe()
    except OSError:
        return work
    try:
        child = os.fork()
    except (AttributeError, OSError):  # there is none here, or no room for one more
        os.close(reading)
        os.close(writing)
        return work
    if child == 0:
        try:
            os.closerange(3, writing)  # sockets that are bound: they may be wanted before it ends
            os.closerange(writing + 1, os.sysconf("SC_OPEN_MAX"))
            gc.disable()  # all that is made lives to the end
            with open(writing, "wb") as pipe:
                marshal.dump(work(), pipe)
        finally:
            os._exit(0)  # whatever went wrong: it will happen again where it can be told
    os.close(writing)

    def result() -> Any:
        with open(reading, "rb") as pipe:
            octets = pipe.read()
        with suppress(ChildProcessError):  # where somebody else waits for our children
            os.waitpid(child, 0)
        try:
            return marshal.loads(octets)
        except EOFError:  # it was killed before it was done
            return (killed or work)()

    return result
