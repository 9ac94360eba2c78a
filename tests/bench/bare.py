"""A bare Twisted server: a constant reply for each line or datagram, and nothing else.

`bare.py UDP-REPLY-FILE TCP-REPLY-FILE` prints the port that it answers on, over TCP and UDP.
"""

import sys
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol


class Datagrams(DatagramProtocol):
    """Over UDP."""

    noisy = False

    def __init__(self, reply: bytes) -> None:
        """Give this reply."""
        self.reply = reply

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        """Reply."""
        self.transport.write(self.reply, addr)


class Lines(Protocol):
    """Over TCP: as many replies as there are ends of lines."""

    def __init__(self, reply: bytes) -> None:
        """Give this reply."""
        self.reply = reply

    def connectionMade(self) -> None:
        """Send small replies at once."""
        self.transport.setTcpNoDelay(True)

    def dataReceived(self, data: bytes) -> None:
        """Reply."""
        self.transport.write(self.reply * data.count(b"\n"))


def main() -> None:
    """Serve until killed."""
    over_udp, over_tcp = (Path(each).read_bytes() for each in sys.argv[1:3])
    factory = Factory.forProtocol(lambda: Lines(over_tcp))
    factory.noisy = False
    listening = reactor.listenTCP(0, factory, interface="127.0.0.1")
    port = listening.getHost().port
    reactor.listenUDP(port, Datagrams(over_udp), interface="127.0.0.1")
    reactor.callWhenRunning(print, port, flush=True)
    reactor.run()


if __name__ == "__main__":
    main()
