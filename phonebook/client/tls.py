"""TLS as the client speaks it: an exchange behind it, octets in, actions out, no socket in here.

Implements spec/phonebook.md, section 13, by the OpenSSL of the standard library over two buffers.
"""

import ssl
from typing import NoReturn

from phonebook.client.answer import BadInput, NoAnswer
from phonebook.client.exchange import Action, Exchange, Write
from phonebook.client.inquiry import Tls
from phonebook.wire import ALPN

_TEXT = 65_536  # octets for one read
_UNKNOWN_AUTHORITY = (18, 19, 20, 21)  # of the X509_V_ERR codes


class Secured:
    """An exchange inside TLS; it takes the connection's events in the exchange's place."""

    def __init__(self, exchange: Exchange, tls: Tls, host: str) -> None:
        """Begin before the handshake, with the host's name as it was given (L-6).

        Raises `BadInput` for what is wrong with the files.
        """
        self._exchange, self._files = exchange, tls
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._handshaking = True
        name = host.partition("%")[0].rstrip(".")
        context = _context(tls)
        try:
            self._tls = context.wrap_bio(self._in, self._out, server_hostname=name)
        except ValueError as error:
            raise NoAnswer(f"{host} can have no certificate: {error}.") from None

    def connected(self) -> list[Action]:
        """The connection is open: greet."""
        return self.received(b"")

    def received(self, octets: bytes) -> list[Action]:
        """Take octets from the connection."""
        self._in.write(octets)
        actions: list[Action] = []
        try:
            if self._handshaking:
                self._tls.do_handshake()
                if self._tls.selected_alpn_protocol() != ALPN.decode():
                    return self._exchange.closed(_NO_PHONEBOOK)
                self._handshaking = False
                for action in self._exchange.connected():
                    self._tls.write(action.octets)
            while text := self._tls.read(_TEXT):
                actions += self._exchange.received(text)
            actions += self._exchange.closed()  # TLS is
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            actions += self._exchange.closed(self._sentence(error))
        return [Write(self._out.read()), *actions] if self._out.pending else actions

    def closed(self) -> list[Action]:
        """The connection was closed."""
        ended = "It closed the connection before TLS had begun: perhaps it has none."
        return self._exchange.closed(ended if self._handshaking else "")

    def _sentence(self, error: ssl.SSLError) -> str:
        """Return what is wrong, and what to do."""
        if isinstance(error, ssl.SSLCertVerificationError):
            told = f"Its certificate is not to be trusted: {error.verify_message.rstrip('.')}."
            if error.verify_code not in _UNKNOWN_AUTHORITY:
                return told
            if self._files.cafile:
                return f"{told} None of those in {self._files.cafile} signed it."
            return f"{told} To trust who signed it, give their certificate: --ca FILE."
        reason = (error.reason or str(error)).lower().replace("_", " ")
        alert = reason.partition(" alert ")[2]
        if alert == "no application protocol":
            return _NO_PHONEBOOK
        if alert == "unknown ca" or "certificate" in alert:  # the server's word on the client's
            if self._files.certfile:
                return f"It refuses the certificate in {self._files.certfile}: {alert}."
            return f"It asks for a client's certificate: --cert FILE ({alert})."
        if reason in ("wrong version number", "record layer failure", "http request"):
            return "It does not speak TLS."
        return f"TLS failed: {reason}."


_NO_PHONEBOOK = "It speaks TLS, but not the phonebook protocol (ALPN)."


def _context(tls: Tls) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=tls.cafile)
    except OSError as error:
        reason = "it has none in PEM" if isinstance(error, ssl.SSLError) else error.strerror
        raise BadInput(f"No certificates can be read from {tls.cafile}: {reason}.") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols([ALPN.decode()])
    if tls.certfile:
        context.minimum_version = ssl.TLSVersion.TLSv1_3  # 1.2 shows it to the path (V-7)
        _load(context, tls.certfile, tls.keyfile or tls.certfile)
    return context


def _load(context: ssl.SSLContext, certfile: str, keyfile: str) -> None:
    """Have the client show this certificate. Raises `BadInput`, which says what is wrong."""

    def encrypted() -> NoReturn:
        raise BadInput(
            f"The key in {keyfile} is encrypted, and no passphrase is asked for: "
            "save it without one (openssl pkey -in KEY -out NEW)."
        )

    for file, what in ((certfile, "certificate"), (keyfile, "private key")):
        try:
            with open(file, "rb") as opened:
                held = opened.read()
        except OSError as error:
            raise BadInput(f"{file} cannot be read: {error.strerror}.") from None
        if f"{what.upper()}-----".encode() not in held:
            where = " Name the file that holds it: --key FILE." * (what == "private key")
            raise BadInput(f"There is no {what} in PEM in {file}.{where}")
    try:
        context.load_cert_chain(certfile, keyfile, password=encrypted)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            told = f"The key in {keyfile} is not that of the certificate in {certfile}."
        else:
            told = f"The certificate in {certfile} or the key in {keyfile} is broken."
        raise BadInput(told) from None
