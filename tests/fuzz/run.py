"""Fuzz a target with atheris: `run.py TARGET FOLDER... [FLAG...]`, as libFuzzer has them.

What is found goes into the first folder. `corpus.py` fills one with what is kept; and with
`-merge=1 FEW MANY`, FEW gets the octets of MANY that reach what no others reach, to be kept.
"""

import sys

import atheris

with atheris.instrument_imports(include=["phonebook"]):
    from targets import TARGETS


def main() -> None:
    """Run what the command line says."""
    target, *arguments = sys.argv[1:]
    # to merge, libFuzzer starts this again by its name
    atheris.Setup([f"{sys.executable} {__file__} {target}", *arguments], TARGETS[target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
