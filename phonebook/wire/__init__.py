"""The protocol in octets: requests, replies, codes, limits. No I/O, no Twisted, no directory.

Implements spec/phonebook.md, sections 3 to 5 and 12. Client and server share it.
"""

from phonebook.wire.codes import ALPN, LINKS, MAX_LINE, PADDED, PORT, Code
from phonebook.wire.errors import ReplyError, RequestError, WireError
from phonebook.wire.framing import LineReader, datagram_line, unpadded
from phonebook.wire.reply import Block, Reply, ReplyReader, parse_reply, render
from phonebook.wire.request import Request, parse_request

__all__ = [
    "ALPN",
    "LINKS",
    "MAX_LINE",
    "PADDED",
    "PORT",
    "Block",
    "Code",
    "LineReader",
    "Reply",
    "ReplyError",
    "ReplyReader",
    "Request",
    "RequestError",
    "WireError",
    "datagram_line",
    "parse_reply",
    "parse_request",
    "render",
    "unpadded",
]
