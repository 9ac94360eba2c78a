"""UDP: a datagram in, at most one no longer out.

Implements spec/phonebook.md, section 7. A socket on all addresses would answer from whichever the
system likes, and answers broadcasts too ([U-8], [U-9]): so it asks the system for the address each
datagram was sent to (IP_PKTINFO, RFC 3542), which Twisted's own port does not offer. A socket on
one address gets what was sent to that address alone, and answers from there: it is spared that.
"""

import logging
import socket
import time
from functools import lru_cache

from twisted.internet.interfaces import IReadDescriptor
from zope.interface import implementer

from phonebook.server.state import Served, State
from phonebook.service.answer import answer_datagram, cost, enough_datagrams
from phonebook.wire.codes import FORBIDDEN_SOURCE_PORTS

log = logging.getLogger("phonebook.server")

_RECEIVE = 2_048  # octets: more than the longest datagram, so that a cut one is seen
_AT_ONCE = 64  # datagrams for one turn of the reactor
_IP_PKTINFO = getattr(socket, "IP_PKTINFO", 8)  # Python names it from 3.14 on; Linux's number
_IPV6_RECVPKTINFO = getattr(socket, "IPV6_RECVPKTINFO", 49)
_ROOM = socket.CMSG_SPACE(20)  # for one struct in_pktinfo or in6_pktinfo


@implementer(IReadDescriptor)
class DatagramPort:
    """A UDP socket of the server on one address, read by the reactor."""

    def __init__(self, bound: socket.socket, state: State) -> None:
        """Take over a bound, non-blocking socket."""
        self._socket, self._state = bound, state
        self._counts = state.counts["udp"]
        self._dropped = FORBIDDEN_SOURCE_PORTS | {bound.getsockname()[1]}  # U-7

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
        try:
            self._answer()
        except Exception:  # else the reactor would close the socket, and nobody be answered
            log.exception("a datagram that cannot be answered")

    def _answer(self) -> None:
        receive, send = self._socket.recvfrom, self._socket.sendto
        served, now, dropped = self._state.served, time.monotonic(), self._dropped
        pace = served.pace
        for _ in range(_AT_ONCE):
            try:
                datagram, peer = receive(_RECEIVE)
                if peer[1] not in dropped:
                    reply = self._reply(datagram, peer[0], served, pace, now)
                    if reply is not None:
                        send(reply, peer)
            except BlockingIOError:  # none waits, or there is no room: UDP may lose it
                return
            except OSError:  # unreachable, or an ICMP error for an earlier reply (K-8)
                continue

    def _reply(
        self, datagram: bytes, address: str, served: Served, pace: float, now: float
    ) -> bytes | None:
        """Return what a datagram from an address gets at this time, if anything."""
        journal = self._state.journal
        began = time.perf_counter_ns() if journal else 0
        reply = answer_datagram(datagram, served.seen(address))
        took = time.perf_counter_ns() - began if journal else 0
        if reply is not None:
            budget = self._state.over_udp
            if pace and not budget.charge(
                budget.account(address), cost(datagram, reply), now, pace
            ):
                refusal = enough_datagrams(datagram)
                self._state.refused.over_udp += refusal is not None
                reply = refusal or reply
            self._counts[reply[:3]] += 1
        if journal and journal.wanted():
            journal.tell("udp", address, served.view(address), datagram, reply or b"", took)
        return reply


class DatagramPortEverywhere(DatagramPort):
    """A UDP socket on all addresses: it answers from the one that was asked."""

    def __init__(self, bound: socket.socket, state: State) -> None:
        """Have the system tell where each datagram was sent to."""
        super().__init__(bound, state)
        if bound.family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO, 1)
        else:
            bound.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)

    def _answer(self) -> None:
        receive, send = self._socket.recvmsg, self._socket.sendmsg
        served, now, dropped = self._state.served, time.monotonic(), self._dropped
        pace = served.pace
        for _ in range(_AT_ONCE):
            try:
                datagram, told, _, peer = receive(_RECEIVE, _ROOM)
                source = told and _reply_source(*told[0])
                if source and peer[1] not in dropped:
                    reply = self._reply(datagram, peer[0], served, pace, now)
                    if reply is not None:
                        send((reply,), source, 0, peer)
            except BlockingIOError:
                return
            except OSError:
                continue


@lru_cache(maxsize=256)
def _reply_source(level: int, kind: int, told: bytes) -> list[tuple[int, int, bytes]] | None:
    """Return the control message that sends from where a datagram was sent to.

    None if that is a broadcast or multicast address: then nobody answers.
    """
    if level == socket.IPPROTO_IPV6:
        return None if told[0] == 0xFF else [(level, kind, told)]
    local, sent_to = told[4:8], told[8:12]
    return [(level, kind, bytes(4) + local + bytes(4))] if local == sent_to else None
