"""TLS: what a connection's octets say, and octets for what it says; no socket in here.

Implements spec/phonebook.md, section 13, and of 15.1 the certificates, by the OpenSSL of the
standard library over two buffers: everything else is as over TCP (L-5).
"""

import contextlib
import os
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any

from phonebook.directory.problems import printable
from phonebook.server.credentials import Credentials, PassingError, TlsError
from phonebook.server.sharing import filled
from phonebook.server.viewers import Certificate, read_certificate
from phonebook.wire import ALPN

_TEXT = 65_536  # octets for one read


def speaker(credentials: Credentials) -> Callable[[bool], "TlsServer"]:
    """Return what speaks TLS with a connection; it is told whether to ask for a certificate.

    A session is resumed by who began it alone: under other credentials all begin anew (V-10).
    Raises `TlsError`.
    """
    files, pair = credentials.files, (credentials.certificate, credentials.key)
    anchors = printable(str(files.anchors))
    both = printable(f"{files.certificate}, {files.key}")
    try:
        context = tls_context(*pair)
    except (ssl.SSLError, ValueError) as error:
        if getattr(error, "reason", "") == "KEY_VALUES_MISMATCH":
            raise TlsError(f"{both}: the key is not this certificate's: renew both") from None
        raise TlsError(
            f"{both}: these are no PEM certificate and its key, without a passphrase"
        ) from None
    except OSError as error:
        raise PassingError.of(both, error) from None
    if credentials.anchors is None:
        return lambda _asks: TlsServer(context)
    try:
        asking = tls_context(*pair, credentials.anchors)
    except (ssl.SSLError, ValueError):
        raise TlsError(f"{anchors}: these are no certificates in PEM") from None
    except OSError as error:
        raise PassingError.of(anchors, error) from None
    return lambda asks: TlsServer(asking if asks else context)


def tls_context(certificate: bytes, key: bytes, anchors: bytes | None = None) -> ssl.SSLContext:
    """Return how the server speaks TLS; with trust anchors, it asks for a client's certificate.

    Raises `OSError`, `ssl.SSLError` among them.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # no compression, no 0-RTT (L-7)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols([ALPN.decode()])
    # without a question for a passphrase, which nobody might be there to answer
    with _file(certificate) as first, _file(key) as second:
        context.load_cert_chain(first, second, password=lambda: b"")
    if anchors is not None:
        context.minimum_version = ssl.TLSVersion.TLSv1_3  # 1.2 shows it to the path (V-7)
        context.verify_mode = ssl.CERT_OPTIONAL  # but a bad one ends the handshake (V-8)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # an anchor is what is in the file
        with _file(anchors) as trusted:
            context.load_verify_locations(trusted)
    return context


@contextlib.contextmanager
def _file(octets: bytes) -> Iterator[str]:
    """Give a file with these octets, which has no name on any disk: OpenSSL asks for one."""
    number = filled([octets])
    try:
        os.lseek(number, 0, os.SEEK_SET)
        yield f"/dev/fd/{number}"
    finally:
        os.close(number)


class TlsServer:
    """The server's end of one TLS connection."""

    def __init__(self, context: ssl.SSLContext) -> None:
        """Begin before the handshake."""
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)
        self.ready = False
        """Whether the handshake is done."""
        self.ended = False
        """Whether the peer sends no more text, or its TLS is refused."""
        self.certificate: Certificate | None = None
        """What the peer has shown, here or when the session began that it resumed."""

    def open(self, octets: bytes) -> bytes:
        """Return the text that has come whole with these octets."""
        self._in.write(octets)
        pieces = []
        try:
            if not self.ready:
                self._tls.do_handshake()
                self.ready = True
                if self._tls.selected_alpn_protocol() != ALPN.decode():  # L-3
                    self.ended = True
                if der := self._tls.getpeercert(True):
                    self.certificate = self._read(der)
                    if self.certificate.until <= time.time():  # it was shown in time (V-11)
                        self.ended = True
            while not self.ended:
                piece = self._tls.read(_TEXT)
                pieces.append(piece)
                self.ended = not piece  # close_notify
        except ssl.SSLWantReadError:
            pass
        except (ssl.SSLError, ValueError):  # the latter for what a certificate holds
            self.ended = True
        return b"".join(pieces)

    def _read(self, der: bytes) -> Certificate:
        described: Any = self._tls.getpeercert() or {}
        return read_certificate(der, described, ssl.cert_time_to_seconds(described["notAfter"]))

    def seal(self, text: bytes, last: bool) -> bytes:
        """Return the octets of this text, with what TLS itself has to say, its end if `last`."""
        with contextlib.suppress(ssl.SSLError):  # what the peer has broken takes no more
            if text:
                self._tls.write(text)
            if last:
                self._tls.unwrap()
        return self._out.read()
