"""Stock Twisted servers to measure beside: a constant reply, or a zone of names, and nothing else.

`stock.py datagram|protocol|lines LENGTH` and `stock.py names FILE` print the port that they answer
on. They use Twisted as its manual does, without any of the shortcuts that Phonebook's server has.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol
from twisted.protocols.basic import LineReceiver

END = b"\r\n.\r\n"
HOST = "127.0.0.1"


class Datagrams(DatagramProtocol):
    """Over UDP."""

    noisy = False

    def __init__(self, reply: bytes) -> None:
        """Give this reply."""
        self.reply = reply

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        """Reply."""
        self.transport.write(self.reply, addr)


class Reads(Protocol):
    """Over TCP: as many replies as there are ends of lines, in one write for each read."""

    def __init__(self, reply: bytes) -> None:
        """Give this reply."""
        self.reply = reply

    def dataReceived(self, data: bytes) -> None:
        """Reply."""
        self.transport.write(self.reply * data.count(b"\n"))


class Lines(LineReceiver):
    """Over TCP: a reply and a write for each line."""

    def __init__(self, reply: bytes) -> None:
        """Give this reply."""
        self.reply = reply

    def lineReceived(self, line: bytes) -> None:
        """Reply."""
        self.transport.write(self.reply)


def constant(kind: str, length: int) -> int:
    """Listen with a reply of so many octets; return the port."""
    reply = b"x" * (length - len(END)) + END
    if kind == "datagram":
        return reactor.listenUDP(0, Datagrams(reply), HOST, 2_048).getHost().port
    made = {"protocol": Reads, "lines": Lines}[kind]
    factory = Factory.forProtocol(lambda: made(reply))
    factory.noisy = False
    return reactor.listenTCP(0, factory, interface=HOST).getHost().port


def names(path: Path) -> int:
    """Listen with a zone out of a file, a line `NAME TAB TEXT` for each record."""
    from twisted.names import authority, dns, server

    def rows() -> Iterator[tuple[bytes, bytes]]:
        for line in path.read_bytes().splitlines():
            name, _, text = line.partition(b"\t")
            yield name, text

    class Zone(authority.FileAuthority):
        def loadFile(self, filename: object) -> None:
            self.soa = (zone := b"phonebook.example", dns.Record_SOA(zone, zone, 1))
            self.records = {zone: [self.soa[1]]}
            for name, text in rows():
                self.records[name + b"." + zone] = [dns.Record_TXT(text, ttl=60)]

    factory = server.DNSServerFactory(authorities=[Zone("")])
    protocol = dns.DNSDatagramProtocol(factory)
    return reactor.listenUDP(0, protocol, HOST).getHost().port


def main() -> None:
    """Serve until killed."""
    kind, what = sys.argv[1:]
    port = names(Path(what)) if kind == "names" else constant(kind, int(what))
    reactor.callWhenRunning(print, "port", port, flush=True)
    reactor.run()


if __name__ == "__main__":
    main()
