"""UDP: a datagram in, at most one no longer out.

Implements spec/phonebook.md, section 7. A socket on all addresses would answer from whichever the
system likes, and answers broadcasts too ([U-8], [U-9]): so it asks the system for the address each
datagram was sent to (IP_PKTINFO, RFC 3542), which Twisted's own port does not offer.
"""

import socket
import struct

from twisted.internet.interfaces import IReadDescriptor
from zope.interface import implementer

from phonebook.server.state import State
from phonebook.service.answer import answer_datagram
from phonebook.wire.codes import FORBIDDEN_SOURCE_PORTS

_RECEIVE = 2_048  # octets: more than the longest datagram, so that a cut one is seen
_AT_ONCE = 64  # datagrams for one turn of the reactor
_IP_PKTINFO = getattr(socket, "IP_PKTINFO", 8)  # Python names it from 3.14 on; Linux's number
_IPV6_RECVPKTINFO = getattr(socket, "IPV6_RECVPKTINFO", 49)
_IPV6_PKTINFO = getattr(socket, "IPV6_PKTINFO", 50)
_ROOM = socket.CMSG_SPACE(20)  # for one struct in_pktinfo or in6_pktinfo


@implementer(IReadDescriptor)
class DatagramPort:
    """A bound UDP socket of the server, read by the reactor."""

    def __init__(self, bound: socket.socket, state: State) -> None:
        """Take over a bound, non-blocking socket."""
        self._socket, self._state = bound, state
        self._own_port = bound.getsockname()[1]
        if bound.family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO, 1)
        else:
            bound.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)

    def fileno(self) -> int:
        """Return the socket's number."""
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """Return how Twisted's log calls it."""
        return "phonebook udp"

    def connectionLost(self, reason: object) -> None:
        """Close the socket."""
        self._socket.close()

    def doRead(self) -> None:
        """Answer the datagrams that wait, some at a time."""
        for _ in range(_AT_ONCE):
            try:
                datagram, ancillary, _, peer = self._socket.recvmsg(_RECEIVE, _ROOM)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error for an earlier reply: nobody's concern (K-8)
                continue
            if peer[1] in FORBIDDEN_SOURCE_PORTS or peer[1] == self._own_port:
                continue
            source = _reply_source(ancillary)
            if source is None:
                continue
            reply = answer_datagram(datagram, self._state.snapshot)
            if reply is None:
                continue
            try:
                self._socket.sendmsg([reply], [source], 0, peer)
            except OSError:  # unreachable, or no room: UDP may lose it, the client asks again
                continue


def _reply_source(
    ancillary: list[tuple[int, int, bytes]],
) -> tuple[int, int, bytes] | None:
    """Return the control message that sends from where the datagram was sent to.

    None if that is a broadcast or multicast address: then nobody answers.
    """
    for level, kind, value in ancillary:
        if (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO):
            local, sent_to = value[4:8], value[8:12]
            if local != sent_to:
                return None
            return level, kind, struct.pack("=i4s4s", 0, local, bytes(4))
        if (level, kind) == (socket.IPPROTO_IPV6, _IPV6_PKTINFO):
            return None if value[0] == 0xFF else (level, kind, value)
    return None
