"""Misspell names as people do, to measure how well a search forgives it.

The kinds of mistakes are from the literature, and were written down before any search was tuned
with them, and without a look at one. Who tunes a search does not touch this file: a table that
follows the search would measure nothing.

Words are in the small letters a to z, at least two. Every function that misspells returns a word
that differs from its own, or "" where the word has no place for that mistake; what it draws depends
on `rng` alone.

Sources:

- Damerau, A technique for computer detection and correction of spelling errors, CACM 7 (1964): a
  wrong, missing or extra letter, or two neighbours changed about, are most of all misspellings
- Yannakoudakis and Fawthrop, The rules of spelling errors, Inf. Proc. & Man. 19 (1983): vowels,
  doubled and single letters, and the letters w, y and h go wrong the most
- Kukich, Techniques for automatically correcting words in text, ACM Comp. Surveys 24 (1992): slips
  of the finger beside mistakes of the ear; letters struck that lie beside one another; words run
  together
- Russell, US patent 1,261,167 (1918), Soundex: the letters that sound alike
- Taft, Name search techniques (1970), NYSIIS: mac, kn, pf, sch; the ends -ee, -ie, -dt, -rt
- Philips, Hanging on the Metaphone, Computer Language 7 (1990), and The Double Metaphone search
  algorithm, C/C++ Users Journal 18 (2000): English, then Slavic, Germanic and Romance names
- Postel, Die Kölner Phonetik, IBM-Nachrichten 19 (1969): German
- Mokotoff, Soundexing and genealogy (1985), Daitch-Mokotoff: Slavic and Yiddish in Latin letters
- Lait and Randell, An assessment of name matching algorithms, Newcastle TR 550 (1996), Phonex
- Pfeifer, Poersch and Fuhr, Retrieval effectiveness of proper name search methods, Inf. Proc. &
  Man. 32 (1996), and Christen, A comparison of personal name matching, ANU TR-CS-06-02 (2006):
  what happens to names beside misspelling; words run together among it
"""

import random
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from string import ascii_lowercase
from typing import NamedTuple

SEED = 767

MISSPELT = re.compile("[a-z]{4,}")  # in a shorter word nearly every slip is another name

Misspeller = Callable[[str, random.Random], str]


# slips of the finger


def insertion(word: str, rng: random.Random) -> str:
    """Add a letter (Damerau 1964)."""
    place = rng.randrange(len(word) + 1)
    return word[:place] + rng.choice(ascii_lowercase) + word[place:]


def deletion(word: str, rng: random.Random) -> str:
    """Leave a letter out (Damerau 1964)."""
    place = rng.randrange(len(word))
    return word[:place] + word[place + 1 :]


def substitution(word: str, rng: random.Random) -> str:
    """Write another letter for one (Damerau 1964)."""
    place = rng.randrange(len(word))
    return replaced(word, place, rng.choice(ascii_lowercase.replace(word[place], "")))


def edits(word: str, rng: random.Random) -> str:
    """Add a letter, leave one out, or write another, each as likely (Damerau 1964)."""
    return rng.choice((insertion, deletion, substitution))(word, rng)


def transpose(word: str, rng: random.Random) -> str:
    """Change two neighbours about (Damerau 1964)."""
    places = [place for place in range(len(word) - 1) if word[place] != word[place + 1]]
    if not places:
        return ""
    place = rng.choice(places)
    return word[:place] + word[place + 1] + word[place] + word[place + 2 :]


def doubling(word: str, rng: random.Random) -> str:
    """Double a letter, or write a doubled one once (Yannakoudakis and Fawthrop 1983).

    Where a word has a doubled letter, that one is misspelt as often as another is doubled.
    """
    doubled = [place for place in range(1, len(word)) if word[place] == word[place - 1]]
    if doubled and rng.random() < 0.5:
        place = rng.choice(doubled)
        return word[:place] + word[place + 1 :]
    place = rng.randrange(len(word))
    return word[:place] + word[place] + word[place:]


ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")  # each half a key to the right of the one above


def neighbours() -> dict[str, str]:
    """Return the letters whose keys touch a letter's key."""
    touching: dict[str, str] = defaultdict(str)
    for row in ROWS:
        for left, right in zip(row, row[1:], strict=False):
            touching[left] += right
            touching[right] += left
    for upper, lower in zip(ROWS, ROWS[1:], strict=False):
        for place, letter in enumerate(lower):
            for above in upper[place : place + 2]:
                touching[letter] += above
                touching[above] += letter
    return touching


NEIGHBOURS = neighbours()


def keyboard(word: str, rng: random.Random) -> str:
    """Strike a key beside the right one, of a QWERTY keyboard (Kukich 1992)."""
    place = rng.randrange(len(word))
    return replaced(word, place, rng.choice(NEIGHBOURS[word[place]]))


def two_edits(word: str, rng: random.Random) -> str:
    """Make two edits that do not come to one, or to two letters changed about."""
    while True:
        twice = edits(edits(word, rng), rng)
        if distance(word, twice) == 2:
            return twice


def replaced(word: str, place: int, letter: str) -> str:
    """Return the word with another letter in one place."""
    return word[:place] + letter + word[place + 1 :]


def distance(a: str, b: str) -> int:
    """Return how many letters added, left out, replaced or changed about make `b` of `a`."""
    before, last, row = [0], [0], list(range(len(b) + 1))
    for i, letter in enumerate(a, 1):
        before, last, row = last, row, [i]
        for j, other in enumerate(b, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == b[j - 2] and a[i - 2] == other:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
    return row[-1]


# mistakes of the ear

# From the rules of the sources above: what they code alike sounds alike. A line holds what stands
# in a word, as a regular expression, and after `->` what may be written for it, each a slip of its
# own. With `=` one may as well be written for the other. `V` is a vowel, `C` a consonant, `-`
# nothing.
SLIPS = r"""
    # one sound, two spellings: Soundex, Metaphone, Phonex
    ph -> f                           # Philip, Filip
    (?<!f)f(?!f) -> ph
    ph(?=e) -> v                      # Stephen, Steven
    (?<=e)v(?=e) -> ph
    (?<=V)f(?=V) -> v                 # Stefan, Stevan
    (?<!c)c(?=[aoulrt]) -> k          # Catherine, Katherine
    (?<!c)k(?=[aoulr]) -> c
    ck -> k
    (?<=V)k(?=V|s|$) -> ck
    (?<=V)c$ -> k ck                  # Eric, Erik, Erick
    ik$ -> ic
    (?<!s)ch(?=[rlo]) -> k c          # Christian, Kristian
    k(?=[rl]) -> ch
    (?<=V)ch$ -> ck k
    que$ -> k ck
    qu -> kw k
    (?<!s)c(?=[eiy]) -> s             # Marcia, Marsia
    s(?=[eiy]) -> c
    sc(?=[eiy]) -> s
    (?<!s)ch(?=[aeio]) -> sh          # Charlotte, Sharlotte
    sh -> ch
    sch = sh                          # Fischer, Fisher
    sch(?=C) -> s sh                  # Schmidt, Smidt
    ^s(?=[mnlw]) -> sch
    tch -> ch
    (?<=V)ch$ -> tch
    x -> ks cks                       # Dixon, Dickson
    (?<!c)ks -> x
    cks -> x
    ^x -> z s
    ct = kt
    (?<=V)s(?=V) -> z                 # Lisa, Liza
    (?<![cs])z -> s                   # Gonzalez, Gonsalez
    dge -> ge je                      # Rodgers, Rogers
    (?<=V)ge -> dge
    (?<!g)g(?=[eiy]) -> j             # Gillian, Jillian
    j(?=[eiy]) -> g
    ^geo = je                         # Geoffrey, Jeffrey
    ^wh -> w
    ^w(?=[ei]) -> wh
    th -> t                           # Theresa, Teresa
    (?<=[aeiouyrn])t(?=[aeiou]|$) -> th

    # a letter doubled or not: Yannakoudakis and Fawthrop
    ([bcdfgklmnprstz])\1 -> \1        # Phillip, Philip
    (?<=V)([bdfglmnprst])(?=V|$) -> \1\1

    # letters that are not heard: Metaphone, NYSIIS, Yannakoudakis and Fawthrop
    ^kn -> n
    ^gn -> n
    ^pn -> n
    ^ps -> s
    ^wr -> r
    ^rh -> r                          # Rhodes, Rodes
    ^gh -> g
    mb$ -> m
    eigh -> ay ei
    eigh$ -> ee                       # Leigh, Lee
    ight -> ite
    augh -> aw
    ough$ -> o
    (?<=V)h(?=C|$) -> -               # Sarah, Sara; John, Jon
    (?<=a)$ -> h
    (?<=^jo)n -> hn
    (?<=[rnld])h(?=V) -> -
    ^h(?=ern|enr|ele|ect|ug|or[at]) -> -# Hernandez, Ernandez
    (?<=CC)e$ -> -                    # Anne, Ann; Clarke, Clark
    (?<=ll|nn|rk|wn|tt|th|rn)$ -> e
    (?<=m)p(?=[st]) -> -              # Thompson, Thomson
    (?<=m)(?=son) -> p
    (?<=n)d(?=s|$) -> -
    (?<=n)t(?=s) -> -
    (?<=s)t(?=[lnm]) -> -
    (?<=[ao])l(?=[kmf]) -> -          # Malcolm, Malcom
    ^mac(?=[a-z]{4}) -> mc
    ^mc -> mac

    # vowels: Yannakoudakis and Fawthrop, Phonex, Kölner Phonetik
    ie = ei                           # Keith, Kieth
    ei = ai                           # Meier, Maier
    ei = ey                           # Meier, Meyer
    ai = ay                           # Maier, Mayer
    ey = ay
    (?<=C)i -> y                      # Smith, Smyth
    (?<=C)y -> i
    (?<=C)y$ -> ie ey ee              # Terry, Terrie
    ie$ -> y ey ee
    ey$ -> y ie ee
    ee$ -> y ie
    ee = ea                           # Reed, Read
    ee = ie
    ee -> i
    (?<=C)i(?=C[ao]) -> ee            # Nina, Neena
    ea -> e
    ou -> u                           # Douglas, Duglas
    (?<=C)u(?=C) -> ou
    ou = ow                           # Broun, Brown
    ou -> oo o
    oo -> u
    au = aw
    au -> o
    oa -> o
    ewa = ua                          # Stewart, Stuart
    ew -> u ue
    ae -> e a
    ae(?=l) -> ea                     # Michael, Micheal
    oe -> o
    ue -> u
    aa -> a o
    ia$ = ya
    ea(?=r) -> e
    (?<=C)er -> ur ir
    ^e(?=rC) -> a u                   # Ernest, Arnest
    (?<=C)[ui]r -> er                 # Burt, Bert
    (?<=C)e(?=rC) -> a                # Bernard, Barnard
    (?<=C)a(?=rC) -> e
    (?<=VC)a(?=C) -> e o              # without stress, as a rule
    (?<=VC)e(?=C) -> a i
    (?<=VC)i(?=C) -> e a
    (?<=VC)o(?=C) -> e a
    (?<=VC)u(?=C) -> o a

    # how names end: NYSIIS, Phonex, Pfeifer et al.
    sen$ = son                        # Andersen, Anderson
    (?<!s)s(?=[eo]n$) -> ss           # Jonson, Jonsson
    ss(?=[eo]n$) -> s
    er$ = or
    er$ = ar                          # Miller, Millar
    er$ -> re
    (?<=[bdt])re$ -> er               # Alexandre, Alexander
    en$ = an
    en$ = on
    en$ = in
    yn$ = in                          # Robyn, Robin
    el$ = al
    el$ = le
    man$ = mann
    ine$ -> in een yne
    ette$ -> et ett
    elle$ -> el ell
    ham$ -> am
    ley$ = leigh
    ly$ = leigh
    worth$ = werth
    berg$ = burg
    rt$ = rd
    nt$ = nd
    dt$ = tt                          # Schmidt, Schmitt
    dt$ -> t d

    # German, Dutch and the North: Kölner Phonetik, Double Metaphone
    (?<!b)b$ -> p
    (?<!d)d$ -> t                     # Bernhard, Bernhart
    (?<=[rl])t$ -> d
    (?<=V|r)g$ -> k
    ^v -> f                           # Vogel, Fogel
    w(?=V) -> v                       # Walter, Valter
    (?<=V)v(?=V) -> w
    pf -> f
    tz -> z ts
    (?<=n|r|l|V)z$ -> tz
    ij -> y ei
    uy = ui
    oe -> oo u
    eu -> oi
    sch$ -> s
    ^j(?=an|ar|o[hrsv]|u[lr]) -> y    # Johan, Yohan
    ^y(?=[aou]) -> j
    ^[hg]j -> j
    [qk]v -> qu                       # Lindqvist, Lindquist

    # Slavic and Yiddish names: Daitch-Mokotoff, Double Metaphone
    cz -> ch c ts
    tsch -> ch
    sz -> sh s
    rz -> z
    zh -> z j
    dz -> z
    ow$ = ov
    ov$ = off
    ev$ = eff
    ski$ = sky                        # Kowalski, Kowalsky
    wicz$ -> vich witz
    witz$ -> vitz
    ic$ = ich
    ich$ -> itch
    c$ -> ts
    kh -> k h ch                      # Khan, Kan
    ^k(?=[aou]) -> kh
    yu -> iu
    ja$ = ia

    # Romance names: Double Metaphone
    (?<=V)b(?=V) -> v
    (?<=V)v(?=V) -> b
    ^v(?=[aei]) -> b
    es$ = ez                          # Fernandes, Fernandez
    (?<=i)ll(?=[ao]) -> y             # Castillo, Castiyo
    (?<=V)j(?=V) -> h
    ^ji -> xi gi
    gn(?=V) -> n ny
    gu(?=[ei]) -> g
    gh(?=[ei]) -> g
    gli -> li
    lh -> l
    nh(?=V) -> n
    eau -> o
    aux$ -> o
    ault$ -> o alt
    cqu -> qu k
    zz -> ts

    # Arabic and Indian names in Latin letters: Christen
    q -> k
    dh -> d
    bh -> b
    sh(?=V) -> s
    ou(?=[aei]) -> w
    dj -> j
"""

CLASSES = {"V": "[aeiouy]", "C": "[bcdfghjklmnpqrstvwxz]"}


def slips() -> list[tuple[re.Pattern[str], str]]:
    """Return the table: what stands in a word, and what may be written for it."""
    pairs = []
    for line in SLIPS.splitlines():
        written, _, _ = line.partition("#")
        if not written.strip():
            continue
        stands, sign, *texts = written.split()
        for text in texts:
            pairs.append((stands, text.replace("-", "")))
            if sign == "=":
                bare = stands.strip("^$")
                pairs.append((stands.replace(bare, text), bare))
    table = []
    for stands, text in dict.fromkeys(pairs):
        for letter, letters in CLASSES.items():
            stands = stands.replace(letter, letters)
        table.append((re.compile(stands), text))
    return table


RULES = slips()


def phonetic(word: str, rng: random.Random) -> str:
    """Spell one sound of the word in another way.

    Every rule that fits somewhere is as likely, so that those of the vowels, which fit everywhere,
    do not crowd out the others.
    """
    fitting = []
    for stands, text in RULES:
        spelt = (
            word[: found.start()] + found.expand(text) + word[found.end() :]
            for found in stands.finditer(word)
        )
        if others := [other for other in spelt if other != word]:
            fitting.append(others)
    return rng.choice(rng.choice(fitting)) if fitting else ""


# queries


class Query(NamedTuple):
    """What somebody asks, and whom they mean."""

    text: str  # as asked
    id: str  # whose name it was made from
    kind: str  # of the mistake
    meant: str  # the text without the mistake; whoever bears all its words is as right as `id`
    word: str  # the one that is misspelt
    typed: str  # what it became
    real: bool  # `typed` is a word of the directory, too
    taken: bool  # another's whole name is the text as asked: nobody could tell what was meant


KINDS: dict[str, Misspeller] = {
    "edit": edits,
    "transposition": transpose,
    "doubling": doubling,
    "keyboard": keyboard,
    "phonetic": phonetic,
    "two edits": two_edits,
}

Entry = Mapping[str, str | Sequence[str]]


class Person(NamedTuple):
    """A person who can be asked for: the id, the name as people type it, the family's part."""

    id: str
    name: str
    family: str


def plain(text: str) -> str:
    """Return a text in small letters without accents and apostrophes, as people type it."""
    apart = unicodedata.normalize("NFKD", text.lower())
    return "".join(
        letter for letter in apart if not unicodedata.combining(letter) and letter not in "'’"
    )


def plain_name(text: str) -> str:
    """Return a name as people type it, without initials."""
    words = (word.rstrip(".") for word in plain(text).split())
    return " ".join(word for word in words if len(word) > 1)


def words(text: str) -> list[str]:
    """Return the words of a plain text."""
    return re.findall(r"\w+", text)


def latin(text: str) -> bool:
    """Tell whether all letters of a text are Latin ones."""
    return all(
        letter in " .-'’" or unicodedata.name(letter, "").startswith("LATIN") for letter in text
    )


def lines(entry: Entry, field: str) -> list[str]:
    """Return the lines of a field, none where the entry does not have it."""
    value = entry.get(field, [])
    return [value] if isinstance(value, str) else list(value)


def misspelt(text: str, misspell: Misspeller, rng: random.Random) -> tuple[str, str, str] | None:
    """Return a text with one word gone wrong, that word, and what it became."""
    found = [word for word in re.finditer(r"\w+", text) if MISSPELT.fullmatch(word[0])]
    if not found:
        return None
    word = rng.choice(found)
    typed = misspell(word[0], rng)
    if not typed:
        return None
    return text[: word.start()] + typed + text[word.end() :], word[0], typed


def joined(text: str, rng: random.Random) -> tuple[str, str, str]:
    """Return a text without one of its spaces, the two words, and what comes of them."""
    parts = text.split()
    place = rng.randrange(len(parts) - 1)
    left, right = parts[place : place + 2]
    typed = left + right
    return " ".join([*parts[:place], typed, *parts[place + 2 :]]), f"{left} {right}", typed


def ask(kind: str, person: Person, rng: random.Random) -> tuple[str, str, str, str] | None:
    """Return the text that is meant, the one that is asked, the word, and what it became."""
    meant = rng.choice(words(person.family)) if kind == "single" else person.name
    if kind == "joined":
        return meant, *joined(meant, rng)
    wrong = misspelt(meant, KINDS.get(kind, edits), rng)
    return (meant, *wrong) if wrong else None


def queries(
    entries: Iterable[Entry], seed: int = SEED, count: int = 2000
) -> dict[str, list[Query]]:
    """Return `count` queries of each kind, about people with Latin names of at least two words.

    `entries` have an `id` and a `name`; `kind`, `family` and `alias` are heeded.

    Of a whole name, one word of four letters or more goes wrong, whichever. Kind `joined` leaves
    out a space; kind `single` is a word of the family's part alone, with one edit. People are drawn
    as they stand in the directory, so common names are asked for more often. Each kind draws from
    its own numbers: its queries stay what they are when another kind comes or goes.
    """
    people: list[Person] = []
    known: set[str] = set()
    names: set[str] = set()
    for entry in entries:
        name = lines(entry, "name")[0]
        typed = plain_name(name)
        names.add(typed)
        known.update(words(plain(" ".join([name, *lines(entry, "alias")]))))
        if entry.get("kind", "person") == "person" and " " in typed and latin(name):
            family = plain_name(" ".join(lines(entry, "family"))) or typed.split()[-1]
            people.append(Person(lines(entry, "id")[0], typed, family))

    asked: dict[str, list[Query]] = {}
    for kind in (*KINDS, "joined", "single"):
        rng = random.Random(f"{seed} {kind}")
        asked[kind] = []
        for _ in range(100 * count if people else 0):  # there may be nobody to ask for
            if len(asked[kind]) == count:
                break
            person = rng.choice(people)
            if made := ask(kind, person, rng):
                meant, text, word, typed = made
                real, taken = typed in known, text in names
                asked[kind].append(Query(text, person.id, kind, meant, word, typed, real, taken))
    return asked
