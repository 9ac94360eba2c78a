"""`phonebook port`: what listens on port 767 here, or elsewhere, and whether it speaks phonebook.

This machine is looked at (psutil) and asked, another one is only asked. `--nmap` prints what nmap
needs to know the protocol by its replies (spec/phonebook.md, section 14).
"""

import argparse
import ipaddress
import socket
import sys
from collections.abc import Iterable
from importlib import import_module
from typing import Any, NamedTuple

from phonebook.cli.output import visible
from phonebook.cli.probe import Place, Told, ask
from phonebook.client.address import Address
from phonebook.client.answer import BadInput
from phonebook.wire.codes import PADDED

_EPILOG = """\
Exit codes: 0 something speaks phonebook there, 1 nothing does, 3 there is no such host.

examples:
  phonebook port
  phonebook port lab.example:767
  phonebook port --nmap > probes
"""

_RPC = range(600, 1024)  # what bindresvport picks from

_ON_RPC = """\
An RPC client (NFS, NIS) may take {port} before a server does: bindresvport picks from 600 to 1023.
To reserve it: a line `{port}` in /etc/bindresvport.blacklist; against the kernel's own NFS client,
sysctl sunrpc.min_resvport={next}; or the socket of `phonebook systemd`, there from boot on.
"""
_ON_SCANNERS = """\
Scanners call 767 `phonebook` by its number alone, whatever listens. One that waits for a greeting
records nothing: the client speaks first. `phonebook port --nmap` teaches nmap -sV to tell.
"""

_NMAP = """\
# For nmap -sV: a file of these and nmap's own, these first, or on another port than 767 its TLS
# probe is; but behind its Exclude line.
#   P=/usr/share/nmap/nmap-service-probes
#   (grep ^Exclude $P; phonebook port --nmap; grep -v ^Exclude $P) > probes
#   nmap -sV -p 767 --versiondb probes HOST
Probe TCP Phonebook q|\\r\\n|
rarity 1
ports 767
match phonebook m|^500 PHONEBOOK/(\\d+) | p/Phonebook directory/ v/$1/

Probe UDP Phonebook q|{help}\\r\\n|
rarity 1
ports 767
match phonebook m|^210 #nmap {reply}| p/Phonebook directory/ v/$2/ i/$1/
"""
_NMAP_REPLY = (
    r"[^\n]*\nid: phonebook\r\nkind: service\r\nname: ([^\r\n]+)\r\n"
    r"(?:contact: [^\n]*\n)?protocol: PHONEBOOK/(\d+)\r\n"
)


class Held(NamedTuple):
    """A socket of this machine that has the port."""

    transport: str
    address: str
    port: int
    peer: str
    """Where it is connected to, if it is a client's."""
    pid: int | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `port` takes."""
    parser.epilog = _EPILOG
    parser.add_argument("where", metavar="HOST[:PORT]", nargs="?", help="(this machine, 767)")
    parser.add_argument("--all", action="store_true", help="every port of this machine")
    parser.add_argument("--nmap", action="store_true", help="print service probes for nmap -sV")


def run(arguments: argparse.Namespace) -> int:
    """Tell what is there."""
    if arguments.nmap:
        print(_NMAP.format(help="HELP #nmap".ljust(PADDED - 2), reply=_NMAP_REPLY), end="")
        return 0
    if arguments.all and arguments.where:
        return _failed("--all is for this machine: leave the host out", 2)
    try:
        where = Address.parse(arguments.where or "localhost")
        addresses = _addresses(where)
    except BadInput as error:
        return _failed(str(error), 2)
    except (OSError, UnicodeError) as error:
        return _failed(f"{where.host}: no such host ({error})", 3)
    if not all(ipaddress.ip_address(each.partition("%")[0]).is_loopback for each in addresses):
        print(f"{where}, asked over the network:")
        return _over_the_network(addresses, where.port)
    try:
        held = _held(None if arguments.all else where.port)
    except ImportError:
        print("To see who listens takes the package psutil: pip install psutil")
        return _over_the_network(addresses, where.port) if not arguments.all else 2
    return _here(held, None if arguments.all else where.port)


def _addresses(where: Address) -> list[str]:
    found = socket.getaddrinfo(where.host, where.port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def _over_the_network(addresses: Iterable[str], port: int) -> int:
    told = ask(
        Place(transport, address, port)
        for address in addresses
        for transport in ("tcp", "tls", "udp")
    )
    for place, each in told.items():
        print(f"  {place.transport}  {_joined(place.address, port):24}  {_words(each)}")
    print(_ON_SCANNERS, end="")
    return 0 if any(each.protocol for each in told.values()) else 1


def _here(held: list[Held], port: int | None) -> int:
    """Tell who has the port, or every port, and ask each."""
    places = {each: _places(each) for each in held}
    told = ask(place for each in places.values() for place in each)
    if port is not None:
        print(f"Port {port} of this machine:" if held else f"Nothing has port {port} here.")
    for each in held:
        answers = [(place.transport, told[place]) for place in places[each]]
        spoken = [f"{name}: {_words(answer)}" for name, answer in answers]
        if port is None:  # of many, only what speaks it matters
            spoken = [f"{name}: {answer.protocol}" for name, answer in answers if answer.protocol]
        what = f"a client's, to {each.peer}" if each.peer else ", ".join(spoken)
        where = _joined(each.address, each.port)
        print(visible(f"  {each.transport}  {where:24}  {_owner(each.pid)}  {what}").rstrip())
    if any(each.pid is None for each in held):
        print("Whose the others are, root alone is told (sudo); the kernel's own are nobody's.")
    if port is not None and port in _RPC:
        print(_ON_RPC.format(port=port, next=port + 1), end="")
    if port is not None:
        print(_ON_SCANNERS, end="")
    return 0 if any(each.protocol for each in told.values()) else 1


def _held(port: int | None) -> list[Held]:
    """Return who listens on a port, else who has it; on all ports, who listens.

    Raises `ImportError` without psutil.
    """
    psutil: Any = import_module("psutil")
    try:
        seen = psutil.net_connections("inet")
    except psutil.AccessDenied:  # as macOS does
        print("To see other users' processes takes root here: try sudo.")
        seen = psutil.Process().net_connections("inet")
    held = []
    for each in seen:
        transport = "tcp" if each.type == socket.SOCK_STREAM else "udp"
        if each.laddr and port in (None, each.laddr.port):
            peer = _joined(each.raddr.ip, each.raddr.port) if each.raddr else ""
            held.append(Held(transport, each.laddr.ip, each.laddr.port, peer, each.pid))
    listening = {(each.transport, each.port) for each in held if not each.peer}
    rest = [
        each
        for each in held
        if not each.peer or port is not None and (each.transport, each.port) not in listening
    ]
    return sorted(set(rest), key=lambda each: (each.port, each.transport, each.address))


def _places(held: Held) -> list[Place]:
    """Return where to ask for what listens on a socket."""
    if held.peer:
        return []
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}
    address = everywhere.get(held.address, held.address)
    transports = ("tcp", "tls") if held.transport == "tcp" else ("udp",)
    return [Place(transport, address, held.port) for transport in transports]


def _owner(pid: int | None) -> str:
    psutil: Any = import_module("psutil")
    if pid is None:
        return "unknown process"
    try:
        process = psutil.Process(pid)
        return f"{process.name()} (pid {pid}, user {process.username()})"
    except psutil.Error:
        return f"pid {pid}"


def _words(told: Told) -> str:
    return told.protocol or told.sentence


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _failed(sentence: str, code: int) -> int:
    print(f"phonebook: {sentence}", file=sys.stderr)
    return code
