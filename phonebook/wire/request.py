"""Request lines: octets to `Request` and back.

Implements spec/phonebook.md, section 3. Knows the form of a request, never what a query means.
"""

import re
from dataclasses import dataclass

from phonebook.wire.codes import (
    DEFAULT_ENTRIES,
    LINKS,
    MAX_ENTRIES,
    MAX_ID,
    MAX_LINE,
    MAX_TAG,
    VERBS,
    WITH_LINKS,
    Code,
)
from phonebook.wire.errors import RequestError
from phonebook.wire.framing import unpadded

# The grammar's rules by name; each is matched against a whole token.
_VERB = re.compile(r"[A-Z]{3,10}")
_TAG = re.compile(rf"#[A-Za-z0-9]{{1,{MAX_TAG}}}")
_OPTION = re.compile(r"([a-z][a-z0-9-]{0,31})=(.*)")
_ID = re.compile(rf"[a-z0-9][a-z0-9._-]{{0,{MAX_ID - 1}}}")
_FIELD_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,31}(\.[A-Za-z0-9-]{1,30})?")
_LIMIT = re.compile(r"[1-9][0-9]?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Request:
    """One request: verb, tag without its `#`, options in order, argument."""

    verb: str
    tag: str = ""
    options: tuple[tuple[str, str], ...] = ()
    argument: str = ""

    def octets(self, pad: int = 0) -> bytes:
        """Return the line with its end, padded with spaces to `pad` octets.

        Raises `RequestError` where the grammar has no such line: a control in the text, or more
        than 1,232 octets. (A query that begins like an option or a tag is read as one: put a lone
        `.` before text that is not yours, section 3.)
        """
        tokens = [self.verb]
        if self.tag:
            tokens.append(f"#{self.tag}")
        tokens += [f"{name}={value}" for name, value in self.options]
        if self.argument:
            tokens.append(self.argument)
        text = " ".join(tokens)
        if found := _CONTROL.search(text):
            offset = len(text[: found.start()].encode("utf-8", "surrogatepass"))
            raise RequestError(Code.MALFORMED, "a request holds no control", offset=offset)
        try:
            line = text.encode()
        except UnicodeEncodeError as error:
            sentence = "the text has no UTF-8"
            raise RequestError(Code.MALFORMED, sentence, offset=error.start) from None
        line = line.ljust(pad - 2) + b"\r\n"
        if len(line) > MAX_LINE:
            sentence = f"a request has at most {MAX_LINE:,} octets"
            raise RequestError(Code.LINE_TOO_LONG, sentence, offset=MAX_LINE)
        return line

    @property
    def limit(self) -> int:
        """How many entries at most."""
        return int(dict(self.options).get("limit", DEFAULT_ENTRIES))

    @property
    def after(self) -> str:
        """The id behind which to go on, or nothing."""
        return dict(self.options).get("after", "")

    @property
    def fields(self) -> frozenset[str] | None:
        """Names of the fields asked for, in lower case; None for all."""
        return self._names("fields")

    @property
    def links(self) -> frozenset[str] | None:
        """Names of the links to follow, in lower case; None for no following."""
        return self._names("links")

    def _names(self, option: str) -> frozenset[str] | None:
        value = dict(self.options).get(option)
        return None if value is None else frozenset(value.lower().split(","))


def parse_request(line: bytes) -> Request:
    """Read one request line, its LF and the CR before that left off.

    Raises `RequestError` with the code of the first fault in the spec's order.
    """
    try:
        text = unpadded(line).decode()  # the padding, which may be most of it, first
    except UnicodeDecodeError as error:
        raise RequestError(Code.MALFORMED, "not UTF-8", offset=error.start) from None
    if not (text.isascii() and text.isprintable()) and (found := _CONTROL.search(text)):
        offset = len(text[: found.start()].encode())
        raise RequestError(Code.MALFORMED, "a control", offset=offset)
    verb, _, rest = text.partition(" ")
    if not _VERB.fullmatch(verb):
        raise RequestError(Code.MALFORMED, "a line begins with a verb in capitals")
    rest = rest.strip(" ")
    tag = ""
    if rest.startswith("#"):
        token, _, behind = rest.partition(" ")
        if _TAG.fullmatch(token):
            tag, rest = token[1:], behind.lstrip(" ")
    if verb not in VERBS:
        raise RequestError(Code.UNKNOWN_VERB, "unknown verb", tag=tag)
    options: list[tuple[str, str]] = []
    while rest:
        token, _, behind = rest.partition(" ")
        if not (option := _OPTION.fullmatch(token)):
            break
        options.append((option[1], option[2]))
        rest = behind.lstrip(" ")
    request = Request(verb, tag, tuple(options), rest)
    if fault := _fault(request):
        raise RequestError(*fault, tag=tag)
    return request


def _fault(request: Request) -> tuple[Code, str] | None:
    """Return the first thing that is wrong with a request of a known verb."""
    names = [name for name, _ in request.options]
    taken = {*VERBS[request.verb], *(WITH_LINKS if "links" in names else ())}
    if len(set(names)) < len(names) or not taken.issuperset(names):
        return Code.UNKNOWN_OPTION, "unknown or repeated option"
    for name, value in request.options:
        match name:
            case "limit":
                good = bool(_LIMIT.fullmatch(value)) and int(value) <= MAX_ENTRIES
            case "after":
                good = bool(_ID.fullmatch(value))
            case "links":
                good = set(value.lower().split(",")) <= set(LINKS)
            case _:
                good = all(_FIELD_NAME.fullmatch(each) for each in value.split(","))
        if not good:
            return Code.BAD_VALUE, f"bad value of {name}"
    if request.verb == "HELP":
        good = not request.argument
    elif request.verb == "ENTRY":
        good = bool(_ID.fullmatch(request.argument))
    else:
        good = bool(request.argument)
    return None if good else (Code.BAD_ARGUMENT, "bad argument")
