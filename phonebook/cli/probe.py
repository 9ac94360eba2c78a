"""Whether a port speaks phonebook, and over what: three questions that any server must answer.

Implements spec/phonebook.md: the refusal of an empty line names the protocol ([R-11]), a padded
HELP is answered over UDP ([H-3]), a handshake of TLS ends with ALPN ([L-3]).
"""

import re
import secrets
import socket
import ssl
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from phonebook.wire import ALPN, PADDED
from phonebook.wire.codes import MAX_BARE_REPLY, MAX_LINE

PATIENCE = 2.0  # seconds for an answer
_AT_ONCE = 32  # questions under way

_REFUSAL = re.compile(rb"500 (PHONEBOOK/[0-9]+) ")
_DATAGRAMS = 3  # at most, for one question


class Place(NamedTuple):
    """What is asked: a transport (tcp, udp, tls), a numeric address and a port."""

    transport: str
    address: str
    port: int


class Told(NamedTuple):
    """What came of it: the protocol, empty where it is another or none; and what is to be said."""

    protocol: str
    sentence: str


def ask(places: Iterable[Place], patience: float = PATIENCE) -> dict[Place, Told]:
    """Ask all of them side by side."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        asked = {place: pool.submit(_ask, place, patience) for place in dict.fromkeys(places)}
        return {place: each.result() for place, each in asked.items()}


def _ask(place: Place, patience: float) -> Told:
    question = {"tcp": _tcp, "udp": _udp, "tls": _tls}[place.transport]
    try:
        return _over(place, patience, question)
    except ConnectionRefusedError:
        return Told("", "nothing listens")
    except TimeoutError:
        return Told("", "no answer")
    except ssl.SSLError:
        return Told("", "no TLS of phonebook's")
    except OSError as error:
        return Told("", error.strerror or str(error))


def _over(place: Place, patience: float, question: Callable[[socket.socket], Told]) -> Told:
    family = socket.AF_INET6 if ":" in place.address else socket.AF_INET
    kind = socket.SOCK_DGRAM if place.transport == "udp" else socket.SOCK_STREAM
    with socket.socket(family, kind) as made:
        made.settimeout(patience)
        made.connect(socket.getaddrinfo(place.address, place.port, family, kind)[0][4])
        return question(made)


def _tcp(connected: socket.socket) -> Told:
    connected.sendall(b"\r\n")
    octets = b""
    while len(octets) < MAX_BARE_REPLY and (more := connected.recv(MAX_BARE_REPLY)):
        octets += more
    if found := _REFUSAL.match(octets):
        return Told(found[1].decode(), "")
    return Told("", "another protocol" if octets else "no answer")


def _udp(connected: socket.socket) -> Told:
    tag = secrets.token_hex(8).encode()
    question = (b"HELP #%b" % tag).ljust(PADDED - 2) + b"\r\n"
    patience = connected.gettimeout()
    assert patience is not None
    connected.settimeout(patience / _DATAGRAMS)
    for _ in range(_DATAGRAMS):  # a datagram may be lost
        connected.send(question)
        try:
            octets = connected.recv(MAX_LINE)
        except TimeoutError:
            continue
        if octets.startswith(b"210 #%b " % tag):
            found = re.search(rb"^protocol: (PHONEBOOK/[0-9]+)\r$", octets, re.MULTILINE)
            return Told(found[1].decode() if found else "", "")
        return Told("", "another protocol")
    raise TimeoutError


def _tls(connected: socket.socket) -> Told:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # who it is does not matter: what it speaks does
    context.set_alpn_protocols([ALPN.decode()])
    with context.wrap_socket(connected) as tls:
        if tls.selected_alpn_protocol() != ALPN.decode():
            return Told("", "another protocol")
        return Told(ALPN.decode().upper(), "")
