"""Binding: one port for TCP, UDP and every address; errors in words."""

import errno
import ipaddress
import socket
from collections.abc import Sequence

_TRIES = 20  # to find a port that is free everywhere
_BACKLOG = 4_096  # as many as systems allow: who finds it full tries again a second later


class BindError(Exception):
    """The address cannot be had."""


def bind(
    hosts: list[str],
    port: int,
    *,
    tcp: bool,
    udp: bool,
    by: str = "--host",
    instead: str = "--port 7767",
) -> list[socket.socket]:
    """Return bound sockets, TCP ones listening; port 0: one that the system picks, for all.

    All addresses where no host is named. Raises `BindError`, which says `by` what a host that is
    none was named, and how another port is chosen `instead`.
    """
    addresses = _resolve(hosts, by)
    for _ in range(_TRIES if port == 0 else 1):
        bound: list[socket.socket] = []
        chosen = port
        try:
            for family, host in addresses:
                for kind in [socket.SOCK_STREAM] * tcp + [socket.SOCK_DGRAM] * udp:
                    bound.append(_bind_one(family, kind, host, chosen))
                    chosen = bound[0].getsockname()[1]
            return bound
        except OSError as error:
            for each in bound:
                each.close()
            if port == 0 and error.errno == errno.EADDRINUSE:
                continue
            raise BindError(_sentence(error, host, chosen, instead)) from error
    raise BindError(f"no port is free for TCP and UDP on every address; name one: {instead}")


def given(sockets: list[socket.socket]) -> list[socket.socket]:
    """Return sockets that somebody else bound, set up as ours are. Raises `BindError`."""
    for each in sockets:
        stream = each.type == socket.SOCK_STREAM
        if each.family not in (socket.AF_INET, socket.AF_INET6) or not (
            each.type == socket.SOCK_DGRAM
            or (stream and each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
        ):
            raise BindError("a socket was handed over that is neither UDP's nor one TCP listens on")
        where = each.getsockname()
        if where[0] == "::" and not each.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY):
            # over it, an IPv4 broadcast cannot be told from a question (U-8)
            raise BindError(f"[::]:{where[1]} was bound for IPv4, too: set BindIPv6Only=ipv6-only")
        if stream:
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sockets


def elsewhere(bound: Sequence[socket.socket], hosts: Sequence[str], port: int) -> bool:
    """Whether sockets that somebody else bound are not where these hosts and this port are.

    No host, and port 0, are anywhere. A name is not looked up: that may take long.
    """
    names = [each.getsockname() for each in bound]
    try:
        wanted = {str(ipaddress.ip_address(host)) for host in hosts}
    except ValueError:
        wanted = set()
    return bool(wanted and wanted != {name[0] for name in names}) or bool(
        port and any(name[1] != port for name in names)
    )


def place(host: str, port: int) -> str:
    """Return an address and a port in the way in which they are written."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _resolve(hosts: list[str], by: str) -> list[tuple[socket.AddressFamily, str]]:
    if not hosts:
        everywhere = [(socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")]
        return everywhere if _has_ipv6() else everywhere[:1]
    addresses = []
    for host in hosts:
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise BindError(f"{by} is {host!r}: no such address here ({error})") from None
        for family, _, _, _, address in found:
            if _is_of_many(family, str(address[0])):
                raise BindError(f"{by} is {host!r}: many hosts' address, not one of this one")
            addresses.append((family, str(address[0])))
    return list(dict.fromkeys(addresses))


def _is_of_many(family: int, address: str) -> bool:
    """Return whether it is a broadcast or multicast address, which U-8 forbids to answer."""
    if ipaddress.ip_address(address).is_multicast:
        return True
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((address, 9))  # sends nothing
        except PermissionError:  # what is a broadcast address, the system alone knows
            return True
        except OSError:
            pass
    return False


def _has_ipv6() -> bool:
    try:
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).close()
    except OSError:
        return False
    return True


def _bind_one(family: socket.AddressFamily, kind: int, host: str, port: int) -> socket.socket:
    made = socket.socket(family, kind)
    try:
        made.setblocking(False)
        if kind == socket.SOCK_STREAM:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # accepted sockets inherit it: a reply never waits for the one before to be received
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((host, port))
        if kind == socket.SOCK_STREAM:
            made.listen(_BACKLOG)
    except OSError:
        made.close()
        raise
    return made


def _sentence(error: OSError, host: str, port: int, instead: str) -> str:
    where = place(host, port)
    if error.errno in (errno.EACCES, errno.EPERM):
        return (
            f"{where}: no right to a port below 1024. Three ways out: {instead}; as root, "
            f"setcap cap_net_bind_service=+ep on the Python that runs this; or a systemd unit with "
            f"AmbientCapabilities=CAP_NET_BIND_SERVICE"
        )
    if error.errno == errno.EADDRINUSE:
        return f"{where}: another program has this port; stop it, or choose another: {instead}"
    return f"{where}: {error.strerror or error}"
