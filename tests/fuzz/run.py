"""Fuzz a target with atheris: `run.py TARGET FOLDER... [FLAG...]`, as libFuzzer has them.

What is found goes into the first folder. `corpus.py` fills one with what is kept; and with
`-merge=1 FEW MANY`, FEW gets the octets of MANY that reach what no others reach, to be kept.
"""

import sys

import atheris

TARGET = sys.argv[1]

# enough to be too long (a line of a request from 1,232 octets, one of a reply from 2,048), no more
MAX_LEN = {"wire": 2_500, "yaml": 4_096, "query": 1_300}

# Run through by a query, but not what it is led by: looking a word up in a sorted table, where each
# step would be counted, and reading our own replies. To follow these would take half of the time.
NOT_FOLLOWED = {"query": ["phonebook.search.words", "phonebook.wire.reply"]}

with atheris.instrument_imports(include=["phonebook"], exclude=NOT_FOLLOWED.get(TARGET)):
    from targets import TARGETS


def main() -> None:
    """Run what the command line says."""
    # to merge, libFuzzer starts this again by its name
    command = f"{sys.executable} {__file__} {TARGET}"
    atheris.Setup([command, f"-max_len={MAX_LEN[TARGET]}", *sys.argv[2:]], TARGETS[TARGET])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
