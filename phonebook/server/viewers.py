"""Viewers: which view somebody has, by the address that they ask from and the certificate shown.

Implements spec/phonebook.md, section 15.1. Nothing is implied: neither loopback nor a private
address sees more than any other that no view names.
"""

import ipaddress
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any

from phonebook.directory.entry import View
from phonebook.server.networks import packed

PUBLIC = ""
"""The name of what everybody sees."""

_KINDS = {"DNS": "dns", "email": "email", "URI": "uri"}  # as `ssl` calls them, and as views do
_SEQUENCE, _VERSION = b"\x30", b"\xa0"  # tags of DER


@dataclass(frozen=True, slots=True)
class Certificate:
    """What views look at in a client's certificate, which TLS has found to be good."""

    key: str
    """The SHA-256 of its SubjectPublicKeyInfo, in hexadecimal."""
    names: frozenset[str] = frozenset()
    """Its subject alternative names, as views have them."""
    until: float = math.inf
    """The time of day at which it is over."""


def read_certificate(
    der: bytes, described: Mapping[str, Any], until: float = math.inf
) -> Certificate:
    """Read a certificate, as DER and as `getpeercert` describes it. Raises `ValueError`."""
    names = frozenset(
        _name(_KINDS[kind], value)
        for kind, value in described.get("subjectAltName", ())
        if kind in _KINDS
    )
    return Certificate(sha256(_public_key(der)).hexdigest(), names, until)


def _name(kind: str, value: str) -> str:
    """Return a name as it is compared: hosts without regard to case."""
    return f"{kind}:{value.lower() if kind == 'dns' else value}"


def _public_key(der: bytes) -> bytes:
    """Return the SubjectPublicKeyInfo of a certificate (RFC 5280, 4.1)."""
    start, end = _content(der, 0, len(der))  # Certificate
    start, end = _content(der, start, end)  # TBSCertificate
    if der[start : start + 1] == _VERSION:
        start = _content(der, start, end)[1]
    for _ in range(5):  # serial number, signature, issuer, validity, subject
        start = _content(der, start, end)[1]
    if der[start : start + 1] != _SEQUENCE:
        raise ValueError("the certificate has no public key where it belongs")
    return der[start : _content(der, start, end)[1]]


def _content(der: bytes, start: int, end: int) -> tuple[int, int]:
    """Return where the content of the element that begins here begins and ends."""
    if start + 2 > end:
        raise ValueError("the certificate is cut off")
    size, start = der[start + 1], start + 2
    if size & 0x80:
        octets = size & 0x7F
        size, start = int.from_bytes(der[start : start + octets]), start + octets
    if start + size > end:
        raise ValueError("the certificate is cut off")
    return start, start + size


class Viewers:
    """Who sees which view of a directory."""

    def __init__(self, views: tuple[View, ...] = ()) -> None:
        """Know them by these views' tests, in their order."""
        self.views = views
        self.by_certificate = any(view.keys or view.names for view in views)
        """Whether a certificate can make a difference."""
        self._networks = [tuple(map(_network, view.networks)) for view in views]
        self._names = [frozenset(_name(*each.split(":", 1)) for each in v.names) for v in views]
        self._keys = [frozenset(key.lower() for key in view.keys) for view in views]
        self.of_address = lru_cache(maxsize=4_096)(self._of_address)

    def _of_address(self, address: str) -> str:
        """Return the view of who asks from an address and shows no certificate."""
        return self.of_certificate(None, address)

    def of_certificate(self, certificate: Certificate | None, address: str) -> str:
        """Return the view of who shows a certificate: the first that it or the address has."""
        octets = packed(address)
        number = int.from_bytes(octets)
        for place, view in enumerate(self.views):
            for size, mask, prefix in self._networks[place]:
                if len(octets) == size and number & mask == prefix:
                    return view.name
            if certificate is not None and (
                certificate.key in self._keys[place]
                or not certificate.names.isdisjoint(self._names[place])
            ):
                return view.name
        return PUBLIC

    def told(self) -> Iterator[str]:
        """Yield a line for each view: who sees it, and what else they see."""
        for view in self.views:
            tests = [*view.networks, *(f"certificate {each}" for each in view.names)]
            tests += [f"certificate key:{each}" for each in view.keys]
            more = f"; includes {', '.join(view.includes)}" if view.includes else ""
            yield f"view {view.name}: seen by {', '.join(tests)}{more}"


def _network(text: str) -> tuple[int, int, int]:
    """Return a network's octets in an address, its mask and its prefix, as numbers."""
    network = ipaddress.ip_network(text)
    return network.max_prefixlen // 8, int(network.netmask), int(network.network_address)
