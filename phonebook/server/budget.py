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

_SLOTS = 16_384  # for each level; networks that share one share its budget
_WIDER, _ALL = 16, 64
"""How many times a network's budget the networks around it have together, and all there are."""

BUDGET_OCTETS = 8 * (2 * _SLOTS + 2)

Account = tuple[int, int, int]
"""Where the budgets of an address stand: of its network, of those around it, of all."""


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
            return self._slot(octets[:3]), _SLOTS + self._slot(octets[:2]), 2 * _SLOTS
        return self._slot(octets[:7]), _SLOTS + self._slot(octets[:6]), 2 * _SLOTS + 1

    def _slot(self, prefix: bytes) -> int:
        digest = blake2b(prefix, digest_size=8, key=self._key).digest()
        return int.from_bytes(digest) % _SLOTS

    def charge(self, account: Account, entries: int, now: float, pace: float) -> bool:
        """Have entries paid for, each in `pace` seconds; or return that it is overdrawn (B-3)."""
        own, around, everywhere = account
        paid, most = self._paid, now + BUDGET_TIME
        one, many, every = paid[own], paid[around], paid[everywhere]
        if one > most or many > most or every > most:
            return False
        time = entries * pace
        paid[own] = (one if one > now else now) + time
        paid[around] = (many if many > now else now) + time / _WIDER
        paid[everywhere] = (every if every > now else now) + time / _ALL
        return True

    def wait(self, account: Account, now: float) -> int:
        """Return the whole seconds until an overdrawn budget is no longer."""
        wait = max(self._paid[slot] for slot in account) - now - BUDGET_TIME
        return min(max(ceil(wait), 1), MAX_RETRY)
