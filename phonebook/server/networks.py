"""Addresses and the networks that they are in: what views, budgets and limits go by.

Implements [V-3] of spec/phonebook.md, and the networks of section 15.2.
"""

import socket
from functools import lru_cache

_MAPPED = bytes(10) + b"\xff\xff"  # what stands before an IPv4 address inside an IPv6 one


@lru_cache(maxsize=4_096)
def packed(address: str) -> bytes:
    """Return an address as 4 octets, or 16."""
    if ":" not in address:
        return socket.inet_pton(socket.AF_INET, address)
    octets = socket.inet_pton(socket.AF_INET6, address.partition("%")[0])
    return octets[12:] if octets.startswith(_MAPPED) else octets


def network(address: str) -> bytes:
    """Return the network of an address: the first 24 bits of four octets, 56 of sixteen."""
    octets = packed(address)
    return octets[:3] if len(octets) == 4 else octets[:7]


def written(network: bytes) -> str:
    """Return a network as people write it."""
    family, size = (socket.AF_INET, 4) if len(network) == 3 else (socket.AF_INET6, 16)
    return f"{socket.inet_ntop(family, network.ljust(size, bytes(1)))}/{8 * len(network)}"
