"""Where a server is, as people write it: `lab`, `lab:7670`, `192.0.2.7`, `[::1]:767`, `::1`."""

from typing import NamedTuple, Self

from phonebook.client.answer import BadInput
from phonebook.wire import PORT


class Address(NamedTuple):
    """A server's host, a name or an IP address without brackets, and its port."""

    host: str
    port: int = PORT

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `HOST[:PORT]`. Raises `BadInput` with a sentence that says what is wrong."""
        if text.startswith("["):
            host, bracket, rest = text[1:].partition("]")
            if not bracket or ":" not in host or (rest and not rest.startswith(":")):
                raise BadInput(f"{text!r} is no server: an IPv6 address is written [::1]:{PORT}.")
            colon, port = rest[:1], rest[1:]
        elif text.count(":") > 1:  # a bare IPv6 address has no room for a port
            host, colon, port = text, "", ""
            if not set(text.partition("%")[0].lower()) <= set("0123456789abcdef:."):
                raise BadInput(f"{text!r} is no server: write HOST or HOST:PORT.")
        else:
            host, colon, port = text.partition(":")
        if not host:
            raise BadInput(f"{text!r} names no host: write HOST or HOST:PORT.")
        if not host.isprintable() or set(host) & set(" /@[]"):
            raise BadInput(f"{text!r} is no server: a host has no space, slash, @ or bracket.")
        try:
            host.encode("idna")  # as it is looked up
        except UnicodeError:
            raise BadInput(f"{text!r} is no server: {host!r} is no host name.") from None
        if not colon:
            return cls(host)
        if not (port.isascii() and port.isdecimal() and len(port) < 6 and 0 < int(port) < 65536):
            raise BadInput(f"{port!r} is no port: a port is a number from 1 to 65535.")
        return cls(host, int(port))

    def __str__(self) -> str:
        """Return the address as `parse` reads it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"
