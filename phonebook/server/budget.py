"""Budgets: how many entries a network is given in a time, however many networks there are.

Implements spec/phonebook.md, section 15.2. A budget is no number of entries but the time at which
all that was given is paid for: each entry adds the time that it costs, and the clock pays. So it is
one number for each network, a new rate holds from the next entry on, and nothing is ever refilled.
"""

from functools import lru_cache
from hashlib import blake2b
from math import ceil

from phonebook.server.networks import packed
from phonebook.wire.codes import BUDGET_TIME, MAX_RETRY

_SLOTS = 16_384  # for each level, twice: networks that share both of theirs share a budget
_WIDER, _ALL = 16, 64
"""How many times a network's budget the networks around it have together, and all there are."""

BUDGET_OCTETS = 8 * (4 * _SLOTS + 2)

Account = tuple[int, int, int, int, int]
"""Where the budgets of an address stand: of its network and of those around it, each in two places,
and of all. Another network may have charged one of the two, hardly both: the lesser one counts."""


class Budget:
    """What networks have been given over one transport, in memory of a fixed size."""

    def __init__(self, key: bytes, memory: memoryview | None = None) -> None:
        """Begin with nothing given; who does not know `key` cannot tell who shares a budget.

        Processes that share the key and the `memory`, of `BUDGET_OCTETS`, share the budgets. Where
        two of them charge one at the same instant, it may be charged for one of the two.
        """
        self._key = key
        paid = memoryview(bytearray(BUDGET_OCTETS)) if memory is None else memory
        self._paid = paid.cast("d")  # the time when it will be
        self.account = lru_cache(maxsize=4_096)(self._account)

    def _account(self, address: str) -> Account:
        octets = packed(address)
        if len(octets) == 4:
            return *self._slots(octets[:3], 0), *self._slots(octets[:2], 2), 4 * _SLOTS
        return *self._slots(octets[:7], 0), *self._slots(octets[:6], 2), 4 * _SLOTS + 1

    def _slots(self, prefix: bytes, row: int) -> tuple[int, int]:
        digest = blake2b(prefix, digest_size=16, key=self._key).digest()
        one, other = int.from_bytes(digest[:8]) % _SLOTS, int.from_bytes(digest[8:]) % _SLOTS
        return row * _SLOTS + one, (row + 1) * _SLOTS + other

    def charge(self, account: Account, entries: int, now: float, pace: float) -> bool:
        """Have entries paid for, each in `pace` seconds; or return that it is overdrawn (B-3)."""
        own, its, around, theirs, everywhere = account
        paid, limit = self._paid, now + BUDGET_TIME
        one, other, wide, wider, every = (
            paid[own], paid[its], paid[around], paid[theirs], paid[everywhere]
        )  # fmt: skip
        if (one > limit < other) or (wide > limit < wider) or every > limit:
            return False
        if entries:  # comparisons, not `max`: it would take most of the time
            time = entries * pace
            paid[own] = (one if one > now else now) + time
            paid[its] = (other if other > now else now) + time
            time /= _WIDER
            paid[around] = (wide if wide > now else now) + time
            paid[theirs] = (wider if wider > now else now) + time
            time *= _WIDER / _ALL
            paid[everywhere] = (every if every > now else now) + time
        return True

    def bears(self, account: Account, entries: int, now: float, pace: float) -> bool:
        """Return whether replies with so many entries in all can be charged and none refused."""
        return max(self._latest(account), now) + entries * pace <= now + BUDGET_TIME

    def wait(self, account: Account, now: float) -> int:
        """Return the whole seconds until an overdrawn budget is no longer."""
        wait = self._latest(account) - now - BUDGET_TIME
        return min(max(ceil(wait), 1), MAX_RETRY)

    def exhausted(self, now: float) -> dict[str, int]:
        """Return how many networks are overdrawn, how many wider ones, and families of addresses.

        A network whose places others overdrew counts too: it gets nothing either.
        """
        limit, paid = now + BUDGET_TIME, self._paid.tolist()
        rows = [paid[row * _SLOTS :][:_SLOTS] for row in range(5)]
        over = [sum(map(limit.__lt__, row)) for row in rows]
        return {"networks": max(over[:2]), "wider": max(over[2:4]), "all": over[4]}

    def _latest(self, account: Account) -> float:
        """Return when the last of an address's budgets is paid for."""
        own, its, around, theirs, everywhere = account
        paid = self._paid
        return max(min(paid[own], paid[its]), min(paid[around], paid[theirs]), paid[everywhere])
