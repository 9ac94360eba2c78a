"""The files that ship beside the code: the specification and the examples.

In a checkout they stand next to the package, where people read them; a wheel carries them inside
the package. `share` finds them in either place.
"""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def share(relative: str) -> Path:
    """Return where a shipped file is, such as `spec/folding.tsv`."""
    installed = _PACKAGE / "_share" / relative
    checkout = _PACKAGE.parent / relative
    for path in (installed, checkout):
        if path.exists():
            return path
    raise FileNotFoundError(
        f"Phonebook's own file {relative} is missing: it is neither {installed} nor {checkout}."
    )
