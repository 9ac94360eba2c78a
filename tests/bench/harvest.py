"""How much of a directory a walk over the alphabet gets: `harvest.py DIRECTORY [A-MINUTE ...]`.

No clock is waited for: a refusal says how long, and the walk goes on then. It asks for all that
begins with a letter, page after page, and with one letter more where that is too broad. A network
has one budget, so what one address gets is what all addresses of its /24 get together; a walk over
TCP and over UDP at once gets it twice.
"""

import sys
from collections.abc import Generator
from pathlib import Path
from string import ascii_lowercase, digits

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from phonebook.directory.load import load  # noqa: E402
from phonebook.server.budget import Budget  # noqa: E402
from phonebook.service.answer import answer, cost  # noqa: E402
from phonebook.service.snapshot import Snapshot, Terms, compile  # noqa: E402
from phonebook.wire import Reply, parse_reply  # noqa: E402
from phonebook.wire.codes import ENTRIES_PER_MINUTE  # noqa: E402

TIMES = (60, 600, 3_600)  # seconds
ROUND_TRIP = 0.01  # seconds that a request takes


def walk(snapshot: Snapshot) -> Generator[bytes, Reply, None]:
    """Yield the lines of a walk; what each finds is sent in."""
    waiting = list(reversed(ascii_lowercase + digits))
    while waiting:
        prefix, after = waiting.pop(), ""
        while True:
            option = f" after={after}" if after else ""
            reply = parse_reply((yield f"LOOKUP limit=32{option} {prefix}".encode()))
            if reply.code == 551 and len(prefix) < 8:
                waiting += [prefix + letter for letter in reversed(ascii_lowercase + digits)]
            if reply.code != 250 or reply.parameters["left"] == "0":
                break
            after = reply.entries[-1][0][1]


def harvested(snapshot: Snapshot, rate: int) -> list[int]:
    """Return how many entries a network has by each time."""
    budget, now, pace = Budget(b"bench"), 0.0, 60 / rate if rate else 0.0
    account = budget.account("192.0.2.1")
    seen: set[str] = set()
    found = []
    asking = walk(snapshot)
    line = next(asking, None)
    for time in TIMES:
        while line is not None and now < time:
            now += ROUND_TRIP
            reply, _ = answer(line, snapshot)
            if pace and not budget.charge(account, cost(line, reply), now, pace):
                now += budget.wait(account, now)
                continue
            seen.update(lines[0][1] for lines in parse_reply(reply).entries)
            try:
                line = asking.send(reply)
            except StopIteration:
                line = None
        found.append(len(seen))
    return found


def main() -> None:
    """Print the table."""
    directory = load(sys.argv[1]).unwrap()
    snapshot = Snapshot(compile(directory), Terms())
    rates = [int(each) for each in sys.argv[2:]] or [ENTRIES_PER_MINUTE, 0]
    print(f"{snapshot.count} entries; a network has, after")
    print(f"{'a minute':>14}{'':>3}" + "".join(f"{time // 60:>9} min" for time in TIMES))
    for rate in rates:
        row = "".join(f"{each / snapshot.count:>13.0%}" for each in harvested(snapshot, rate))
        print(f"{rate or 'unbounded':>14}{'':>3}{row}")


if __name__ == "__main__":
    main()
