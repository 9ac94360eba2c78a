"""What can be wrong with octets, with its reply code and offset (spec/phonebook.md, 3 to 5)."""

from phonebook.wire.codes import Code


class WireError(Exception):
    """These octets are not of the phonebook protocol."""


class RequestError(WireError):
    """The request breaks the grammar."""

    def __init__(self, code: Code, sentence: str, *, offset: int = 0, tag: str = "") -> None:
        """Tell the reply code, the octet offset in the line, and the tag if the line had one."""
        super().__init__(f"{sentence} (octet {offset})")
        self.code, self.sentence, self.offset, self.tag = code, sentence, offset, tag


class ReplyError(WireError):
    """The reply breaks the grammar."""

    def __init__(self, sentence: str, *, offset: int = 0) -> None:
        """Tell the octet offset in the reply."""
        super().__init__(f"{sentence} (octet {offset})")
        self.offset = offset
