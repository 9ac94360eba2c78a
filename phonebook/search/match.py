"""Matching: which entries a query finds, and in which order.

Implements spec/phonebook.md, sections 9.3 to 9.5 and [M-16], over tables and, where the places of
words in a line decide, over the entries themselves.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from zlib import crc32

from phonebook.directory.entry import Entry, Header
from phonebook.directory.fields import LINKS
from phonebook.directory.names import read_name
from phonebook.directory.numbers import Dialling, Number, read_number
from phonebook.directory.text import spellings, words
from phonebook.search.build import (
    BROAD,
    BROAD_SHARE,
    KINDS,
    PLAIN,
    bitmap_octets,
    classes,
    id_words,
    is_long,
    name_spellings,
)
from phonebook.search.query import Term
from phonebook.search.tables import (
    BROAD_RANGE,
    ECHO,
    ECHOES,
    FAMILY,
    LINK,
    OTHER,
    Tables,
    ending_code,
)

MAX_MATCHES = 1_000

Found = dict[int, int]
"""Entries, and the class that a term has on each."""

Range = tuple[int, int, int]
"""The words that a query's word means: from, to, and the number of the word itself, or -1."""

_DESCENDING = range(OTHER, FAMILY - 1, -1)
_BEGINNING = 4  # what the class grows by where only the beginning of a word matches
_MIN_ENDING = 3  # digits of a query that may be the end of a longer number
_MIN_NUMBER = 7  # digits of an entry's number that may be the end of a longer query
_SIXTEEN_DIGITS = 64  # bits of an ending's code
_POSITION = 0xFFFFFFFF

_FEW = 32  # places in entries of a word that is answered without a look at ranks
_SOONER_LOOKED_FOR = 20  # times that a list must be longer than that of whom we look for in it


class TooBroadError(Exception):
    """More than 1,000 entries match, or every word is in very many."""


class Index:
    """A directory's tables, ready to be asked."""

    def __init__(self, tables: Tables, header: Header, entry: Callable[[int], Entry]) -> None:
        """Ask these tables; `entry` reads the entry with a number."""
        self._tables = tables
        self._dialling = Dialling(header)
        self._entry = entry
        self._classes = classes(tables.slots)
        self._limit = max(BROAD, tables.count // BROAD_SHARE)
        self._few_at_most = min(_FEW, self._limit)
        self._slots: dict[str, frozenset[int]] = {}  # of each field that was asked for
        bits = bitmap_octets(tables.count)
        pairs = tables.broad_ranges
        self._maps: dict[tuple[int, int], list[tuple[int, memoryview]]] = {}
        self._broad: set[tuple[int, int]] = set()
        start = 0
        for place in range(0, len(pairs), 3):
            maps = self._maps[pairs[place], pairs[place + 1]] = []
            if pairs[place + 2] >= BROAD_RANGE:
                self._broad.add((pairs[place], pairs[place + 1]))
            for rank in range(OTHER + 1):
                if pairs[place + 2] & 1 << rank:
                    maps.append((rank, tables.broad_bits[start : start + bits]))
                    start += bits
        # the hot path's: one name instead of two
        self._hash, self._ends = tables.word_hash, tables.word_ends
        self._offsets, self._text = tables.word_offsets, tables.word_text
        self._rows, self._words = tables.word_rows, len(tables.word_rows) // (ECHOES + 1)
        self._row_slots, self._weights = tables.row_slots, tables.word_weights
        self._texts, self._text_rows = tables.word_texts, tables.text_rows
        self._row_offsets, self._postings = tables.row_offsets, tables.postings
        self._size = len(tables.word_hash)
        self._links_end = self._least(chr(ord(LINK) + 1).encode()) if len(self._ends) else 0

    def match(self, terms: Sequence[Term]) -> list[int]:
        """Return the numbers of all entries that match, best first.

        Raises `TooBroadError` where they are more than 1,000, or every word is broad ([M-16]).
        """
        if all(term.is_word for term in terms):
            return self.match_words([term.words[0].encode() for term in terms])
        wanted = [_Asked(self, term) for term in terms if not term.excluded]
        wanted.sort(key=lambda each: (each.broad, each.weight))
        if wanted[0].broad:
            raise TooBroadError
        found = wanted[0].everywhere(alone=len(terms) == 1)
        for each in wanted[1:]:
            if not found:
                break
            ranks = each.among(set(found))
            found = {position: rank + found[position] for position, rank in ranks.items()}
        excluded = [term for term in terms if term.excluded]
        if excluded:
            kept = self.kept(set(found), excluded)
            found = {each: rank for each, rank in found.items() if each in kept}
        return _ordered(found)

    def match_words(self, words: Sequence[bytes]) -> list[int]:
        """Match the commonest query: words, or their beginnings, in any field; as `match` does."""
        if len(words) == 1:
            few = self._few(self.word(words[0]))
            if few is not None:
                return few
        asked = []
        for word in words:
            number = self.word(word)
            first, end = (number, self._ends[number]) if number >= 0 else self.beginning(word)
            if first == end:
                return []
            weight = self._weights[end] - self._weights[first]
            asked.append(
                (weight > self._limit and (first, end) in self._broad, weight, first, end, number)
            )
        asked.sort()
        broad, _, *least = asked[0]
        if broad:
            raise TooBroadError
        found = self.collect((least[0], least[1], least[2]))
        for _, _, first, end, number in asked[1:]:
            if not found:
                break
            ranks = self.among((first, end, number), set(found))
            found = {position: rank + found[position] for position, rank in ranks.items()}
        return _ordered(found)

    def _few(self, number: int) -> list[int] | None:
        """Return the few entries of a word that no other begins with; None if it is another."""
        if (
            number < 0
            or self._ends[number] > number + 1
            or self._weights[number + 1] - self._weights[number] > self._few_at_most
            or self._texts[number] < self._texts[number + 1]
        ):
            return None
        rows, offsets = self._rows, self._row_offsets
        found: list[int] = []
        for place in range(number, number + ECHOES * self._words, self._words):
            start, behind = rows[place], rows[place + 1]
            if start < behind:
                found += sorted(self._postings[offsets[start] : offsets[behind]])
        return found if len(found) == 1 else list(dict.fromkeys(found))

    # Words

    def word(self, word: bytes) -> int:
        """Return the number of a word, -1 where there is none."""
        size = self._size
        place = crc32(word) % size
        while number := self._hash[place]:
            start = self._offsets[number - 1]
            if self._text[start : self._offsets[number]] == word:
                return number - 1
            place = place + 1 if place + 1 < size else 0
        return -1

    def beginning(self, word: bytes) -> tuple[int, int]:
        """Return the range of the words that begin so."""
        first = self._least(word)
        length = len(word)
        # behind the first that begins so, look further in growing steps, then between
        end, step, last = first, 1, len(self._ends)
        text, offsets = self._text, self._offsets
        while end < last and text[offsets[end] : offsets[end] + length] == word:
            end, step = end + step, step * 2
        low, high = max(first, end - step // 2), min(end, last)
        while low < high:
            middle = (low + high) // 2
            if text[offsets[middle] : min(offsets[middle] + length, offsets[middle + 1])] == word:
                low = middle + 1
            else:
                high = middle
        return first, low

    def _least(self, word: bytes) -> int:
        """Return the number of the first word that is not before this one."""
        low, high = 0, len(self._ends)
        text, offsets = self._text, self._offsets
        while low < high:
            middle = (low + high) // 2
            if bytes(text[offsets[middle] : offsets[middle + 1]]) < word:
                low = middle + 1
            else:
                high = middle
        return low

    def meant(self, word: str, whole: bool) -> Range:
        """Return the words that a query's word means."""
        octets = word.encode()
        number = self.word(octets)
        if whole:
            return (number, number + 1, number) if number >= 0 else (0, 0, -1)
        if number >= 0:
            return number, self._ends[number], number
        return *self.beginning(octets), -1

    def weight(self, first: int, end: int) -> int:
        """Return at least as many as a range of words is in entries."""
        return self._weights[end] - self._weights[first]

    def text(self, number: int) -> str:
        """Return a word."""
        return str(self._text[self._offsets[number] : self._offsets[number + 1]], "utf-8")

    def named(self, words: Range) -> list[memoryview]:
        """Return the entries with one of these words in their name or alias, in several lists."""
        first, end, _ = words
        found = []
        for base in range(0, OTHER * self._words, self._words):
            start, behind = self._rows[base + first], self._rows[base + end]
            if start < behind:
                found.append(self._postings[self._row_offsets[start] : self._row_offsets[behind]])
        return found

    def bearers(self, number: int) -> list[memoryview]:
        """Return the entries with this very word in their name or alias, in several lists."""
        rows, offsets, words = self._rows, self._row_offsets, self._words
        found = []
        for place in (number, number + words, number + 2 * words):
            start, behind = rows[place], rows[place + 1]
            if start < behind:
                found.append(self._postings[offsets[start] : offsets[behind]])
        return found

    def kept(self, candidates: set[int], terms: Sequence[Term]) -> set[int]:
        """Return those candidates that match these terms."""
        for term in terms:
            having = _Asked(self, term).among(candidates).keys()
            candidates = candidates - having if term.excluded else candidates & having
        return candidates

    def is_broad(self, first: int, end: int) -> bool:
        """Whether a range of words is in very many entries."""
        return (first, end) in self._broad

    def collect(self, words: Range, field: str = "") -> Found:
        """Return the class of a range of words on each entry that has one, in any field or one."""
        found: Found = {}
        for rank, entries, _ in self._in_field(words, field) if field else self._anywhere(words):
            found.update(dict.fromkeys(entries, rank))
        return found

    def among(self, words: Range, candidates: set[int]) -> Found:
        """Return the class of a range of words on those candidates that have one."""
        if words[:2] in self._maps:
            return self._mapped_among(words, candidates)
        found: Found = {}
        for rank, entries, ascending in reversed(self._anywhere(words)):
            if ascending and len(candidates) * _SOONER_LOOKED_FOR < len(entries):
                having = {each for each in candidates if _contains(entries, each)}
            else:
                having = candidates.intersection(entries)
            having -= found.keys()
            found.update(dict.fromkeys(having, rank))
            if len(found) == len(candidates):
                break
        return found

    def _mapped_among(self, words: Range, candidates: set[int]) -> Found:
        first, end, number = words
        found: Found = {}
        if number >= 0 and end > number + 1:
            found = self.among((number, number + 1, number), candidates)
            candidates = candidates - found.keys()
        more = 0 if end == number + 1 else _BEGINNING
        maps = self._maps[first, end]
        for position in candidates:
            octet, bit = position >> 3, 1 << (position & 7)
            for rank, bits in maps:
                if bits[octet] & bit:
                    found[position] = rank + more
                    break
        return found

    def _anywhere(self, words: Range) -> list[tuple[int, memoryview, bool]]:
        """Return the entries of a range of words by class, the greatest first: are they sorted?"""
        offsets, postings, rows = self._row_offsets, self._postings, self._rows
        texts, text_rows = self._texts, self._text_rows
        pieces = []
        for first, end, more in _parts(words):
            if texts[first] < texts[end]:
                for row in set(text_rows[texts[first] : texts[end]]):
                    piece = postings[offsets[row] : offsets[row + 1]]
                    pieces.append((OTHER + more, piece, True))
            base = OTHER * self._words
            for rank in _DESCENDING:
                start, behind = rows[base + first], rows[base + end]
                if start < behind:
                    piece = postings[offsets[start] : offsets[behind]]
                    pieces.append((rank + more, piece, behind == start + 1))
                base -= self._words
        return pieces

    def _in_field(self, words: Range, field: str) -> Iterator[tuple[int, memoryview, bool]]:
        """Yield the entries of a range of words in a field, where the class is always 0."""
        offsets, postings, slots = self._row_offsets, self._postings, self.slots(field)
        first, end, _ = words
        found = set(self._text_rows[self._texts[first] : self._texts[end]])
        for base in range(0, len(self._rows), self._words):
            found.update(range(self._rows[base + first], self._rows[base + end]))
        for row in found:
            if self._row_slots[row] in slots:
                yield 0, postings[offsets[row] : offsets[row + 1]], True

    def slots(self, field: str) -> frozenset[int]:
        """Return where the words of a field stand that a query names (M-9)."""
        if field not in self._slots:
            if len(self._slots) > 256:
                self._slots.clear()
            self._slots[field] = frozenset(
                slot
                for slot, name in enumerate(self._tables.slots)
                if is_named(field, name.removesuffix(ECHO) or "name")
            )
        return self._slots[field]

    def kind(self, kind: str) -> range:
        """Return the entries of a kind."""
        return range(*self._tables.kinds[kind])

    @property
    def count(self) -> int:
        """How many entries there are."""
        return self._tables.count

    @property
    def limit(self) -> int:
        """Of how many entries on a word is broad."""
        return self._limit

    # Numbers

    def numbers(self, number: Number, field: str) -> Found:
        """Return the class of a number on each entry that has it, or its last digits (9.4)."""
        keys = self._dialling.query_keys(number)
        digits = number.digits
        maybe: set[int] = set()  # equal, or one whose digits all are the end of the query's
        for key in keys:
            maybe |= self._with_ending(key.removeprefix("+")) if is_long(key) else self._hashed(key)
        for length in range(_MIN_NUMBER, min(len(digits), 16) + 1):
            maybe |= self._with_ending(digits[-length:])
            break  # the longer ones are among them
        ends: set[int] = set()
        if len(digits) >= _MIN_ENDING and not number.extension:
            ends = self._with_ending(digits)
        if field or len(digits) > 16:
            maybe |= ends
            ends = set()
        found = dict.fromkeys(ends, _BEGINNING)
        for position in maybe:
            rank = self._number_class(position, number, keys, field)
            if rank is not None:
                found[position] = rank
        return found

    def _with_ending(self, digits: str) -> set[int]:
        codes, code = self._tables.number_endings, ending_code(digits)
        first = bisect_left(codes, code)
        step = 1 << _SIXTEEN_DIGITS - 4 * min(len(digits), 16)
        end = bisect_left(codes, code + step, first)
        return set(self._tables.number_entries[first:end])

    def _hashed(self, key: str) -> set[int]:
        codes = self._tables.number_keys
        code = crc32(key.encode()) << 32
        first = bisect_left(codes, code)
        end = bisect_right(codes, code | _POSITION, first)
        return {each & _POSITION for each in codes[first:end]}

    def _number_class(
        self, position: int, number: Number, keys: frozenset[str], field: str
    ) -> int | None:
        found = None
        for name, lines in self._entry(position).fields:
            if name.partition(".")[0] != "phone" or not is_named(field, name):
                continue
            for own in map(read_number, lines):
                own_keys = self._dialling.entry_keys(own)
                if not keys.isdisjoint(own_keys):
                    return 0
                if _shares_digits(number, own, own_keys):
                    found = _BEGINNING
        return found

    # Sequences

    def sequence_class(self, position: int, term: Term) -> int | None:
        """Return the class of a sequence of words on an entry, None where it does not match."""
        entry = self._entry(position)
        return min(
            (
                rank
                for field, words, ranks in _lines(entry)
                if (is_named(term.field, field) if term.field else not is_link(field))
                for rank in _match_line(term, words, ranks)
            ),
            default=None,
        )


class _Asked:
    """A term, as this index can answer it."""

    def __init__(self, index: Index, term: Term) -> None:
        self._index, self._term = index, term
        self._found: Found = {}  # of numbers, and of a word in a field
        self._kinds: list[range] = []
        self._ranges: list[Range] = []
        self.broad, self.weight = False, 0
        if term.number is not None:
            self._found = index.numbers(term.number, term.field)
            if term.field:
                self._found = dict.fromkeys(self._found, 0)
        if term.field == "kind":
            self._kinds = [index.kind(kind) for kind in KINDS if _matches_kind(term, kind)]
            self.weight = sum(map(len, self._kinds))
            self.broad = self.weight > index.limit
        elif not term.on_numbers:
            self._read_words()
        self.weight += len(self._found)

    def _read_words(self) -> None:
        index, term = self._index, self._term
        last = len(term.words) - 1
        link = LINK if is_link(term.field) else ""
        for place, word in enumerate(term.words):
            self._ranges.append(index.meant(link + word, term.whole or place < last))
        if term.field:
            # of a sequence, the word in the fewest entries; the others are seen where it is
            self._found = min((index.collect(each, term.field) for each in self._ranges), key=len)
            self.broad = len(self._found) > index.limit
        else:
            self._ranges.sort(key=lambda each: (index.is_broad(*each[:2]), index.weight(*each[:2])))
            self.broad = index.is_broad(*self._ranges[0][:2])
            self.weight = index.weight(*self._ranges[0][:2])

    def everywhere(self, alone: bool) -> Found:
        """Return the class of the term on each entry that it matches; for terms not broad.

        Of a term alone more than are answered need not be read: it is too broad then.
        """
        if self._kinds:
            return {position: 0 for each in self._kinds for position in each}
        if not self._ranges:
            return self._found
        if self._term.field:
            return (
                self._found if len(self._ranges) == 1 else self._verified(set(self._found), alone)
            )
        words = self._index.collect(self._ranges[0])
        if len(self._ranges) > 1:
            words = self._verified(set(words), alone)
        return _lesser(self._found, words)

    def among(self, candidates: set[int]) -> Found:
        """Return the class of the term on those candidates that it matches."""
        if self._kinds:
            return {each: 0 for each in candidates if any(each in kind for kind in self._kinds)}
        found = {each: self._found[each] for each in candidates & self._found.keys()}
        if not self._ranges:
            return found
        if self._term.field:
            return found if len(self._ranges) == 1 else self._verified(set(found))
        if len(self._ranges) > 1:
            return _lesser(found, self._verified(candidates))
        return _lesser(found, self._index.among(self._ranges[0], candidates))

    def _verified(self, candidates: set[int], alone: bool = False) -> Found:
        """Return the class of a sequence: candidates with all its words are read and compared."""
        index, field = self._index, self._term.field
        for each in self._ranges:
            if candidates:
                having = index.collect(each, field) if field else index.among(each, candidates)
                candidates = candidates & having.keys()
        found: Found = {}
        for position in candidates:
            rank = index.sequence_class(position, self._term)
            if rank is not None:
                found[position] = 0 if field else rank
                if alone and len(found) > MAX_MATCHES:
                    raise TooBroadError
        return found


def _contains(entries: memoryview, position: int) -> bool:
    place = bisect_left(entries, position)
    return place < len(entries) and entries[place] == position


def _parts(words: Range) -> list[tuple[int, int, int]]:
    """Return the parts of a range of words, and what the class grows by: the greatest first."""
    first, end, number = words
    if number < 0:
        return [(first, end, _BEGINNING)]
    if end == number + 1:
        return [(number, end, 0)]
    return [(number + 1, end, _BEGINNING), (number, number + 1, 0)]


def _ordered(found: Found) -> list[int]:
    """Return the entries by rank, then by number. Raises `TooBroadError` for more than 1,000."""
    if len(found) > MAX_MATCHES:
        raise TooBroadError
    if len(found) == 1:
        return list(found)
    return [key & _POSITION for key in sorted([rank << 32 | at for at, rank in found.items()])]


def _lesser(one: Found, other: Found) -> Found:
    """Return both, with the lesser class where an entry is in both."""
    if not one or not other:
        return one or other
    both = dict(one)
    for position, rank in other.items():
        both[position] = min(rank, both.get(position, rank))
    return both


def is_link(field: str) -> bool:
    """Whether a field's values are ids of other entries."""
    return field.partition(".")[0] in LINKS


def is_named(asked: str, field: str) -> bool:
    """Tell whether a field is meant by the name that was asked for; the empty name is all (M-9)."""
    return asked in ("", field, field.partition(".")[0])


def _shares_digits(number: Number, own: Number, own_keys: frozenset[str]) -> bool:
    if len(own.digits) >= _MIN_NUMBER and number.digits.endswith(own.digits):
        return True
    if number.extension or len(number.digits) < _MIN_ENDING:
        return False
    return any(key.removeprefix("+").isdigit() and key.endswith(number.digits) for key in own_keys)


def _lines(entry: Entry) -> Iterator[tuple[str, Sequence[tuple[str, ...]], Sequence[int]]]:
    """Yield all lines that words are matched on: their field, spellings, and classes."""
    yield from _line("id", [(word,) for word in id_words(entry.id)])
    for field, values in entry.fields:
        base = field.partition(".")[0]
        if base == "name":
            name = read_name(entry)
            spelt = name_spellings(name, entry)
            places = range(len(spelt))
            yield "name", spelt, [0 if name.start <= each < name.end else 1 for each in places]
        elif base in LINKS:
            for value in values:
                yield from _line(field, [(word,) for word in id_words(value)])
        elif base in PLAIN:
            for value in values:
                yield from _line(field, [(word,) for word in words(value)])
        elif base != "phone":
            for value in values:
                yield from _line(field, spellings(value))


def _line(
    field: str, words: Sequence[tuple[str, ...]]
) -> Iterator[tuple[str, Sequence[tuple[str, ...]], Sequence[int]]]:
    rank = 2 if field.partition(".")[0] == "alias" else OTHER
    yield field, words, (rank,) * len(words)


def _match_line(
    term: Term, words: Sequence[tuple[str, ...]], ranks: Sequence[int]
) -> Iterator[int]:
    """Yield the class of each place in the line that the term's words match (M-6, M-7)."""
    *firsts, last = term.words
    for start in range(len(words) - len(firsts)):
        end = start + len(firsts)
        if all(word in words[start + place] for place, word in enumerate(firsts)):
            rank = max(ranks[start : end + 1])
            if last in words[end]:
                yield rank
            elif not term.whole and any(each.startswith(last) for each in words[end]):
                yield rank + _BEGINNING


def _matches_kind(term: Term, kind: str) -> bool:
    word = term.words[0]
    return len(term.words) == 1 and (kind == word if term.whole else kind.startswith(word))
