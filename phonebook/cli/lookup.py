"""`phonebook lookup`, also installed as `phone`: one question, its answer on standard output.

Exit codes: 0 found, 1 nothing found, 2 wrong use, 3 no answer, a broken one or a refusal, 130
Ctrl-C.
"""

import os
import re
import shutil
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable

import phonebook

EXAMPLE = """\
examples:
  phone ada                            by name, or the beginning of one
  phone +1 202 555 0143                by number, however it is written
  phone room:2.14 --fields phone,email
  phone smith -john org:physics        all but John
  phone --id ada-byron --server lab
  phone --links member-of analysts     a group's members, by its id
  phone --links room r-2-15            who is in a room
"""

FOUND, NOTHING, WRONG_USE, NO_ANSWER, INTERRUPTED = 0, 1, 2, 3, 130

VALUED = frozenset(
    "--server --kind --fields --links --limit --after --ca --cert --key --timeout --format".split()
)
"""The options that take a value."""

MARK = "\0"
"""Stands before a word that begins with -, between `prepare` and `run`; no argument can hold it."""

ADVICE = {
    320: "The answer does not fit a datagram: leave out --udp.",
    350: "The server only says to ask elsewhere, and it may not be asked there.",
    420: "The server is busy: try again{later}.",
    430: "This network has asked enough for now: try again{later}.",
    502: "The query is too long: leave words out.",
    505: "The query cannot be read: close its quotation marks, and give a value behind a colon.",
    506: "There is no word to look for in the query: give a name, a number or another word.",
    507: "There are more than 16 words in the query: leave some out.",
    530: "The server asks for TLS: add --tls.",
    551: "Too many entries match: add a word, a rarer one, or name a field (org:physics).",
    552: "The entry given with --after is not among the matches: start over without it.",
}
"""What to do about a refusal, by its code."""

ADVICE_ON_LINKS = {
    503: "The server does not follow links: look for what links, as in member-of:analysts.",
    551: "Too many entries are linked: name fewer links, or look for some: room:r-2-15 smith.",
}


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.formatter_class = RawDescriptionHelpFormatter
    parser.description = parser.description or "Look somebody or something up in a phonebook."
    parser.epilog = EXAMPLE
    add = parser.add_argument
    add("query", nargs="+", metavar="QUERY", help="words, a number, field:value")
    add(
        "--server",
        metavar="HOST[:PORT]",
        help="whom to ask (PHONEBOOK_SERVER, else localhost)",
    )
    add("--id", action="store_true", help="QUERY is an entry's exact id")
    add("--kind", metavar="K", help="only person, place, group or service")
    add("--fields", metavar="A,B", default="", help="only these fields, and kind and name")
    add("--links", metavar="A,B", default="", help="with an id: what these links lead to and from")
    add("--limit", metavar="N", type=int, default=10, help="at most N entries (10)")
    add("--after", metavar="ID", default="", help="go on behind the match with this id")
    way = parser.add_mutually_exclusive_group()
    for transport in ("udp", "tcp", "tls"):
        way.add_argument(
            f"--{transport}",
            dest="transport",
            action="store_const",
            const=transport,
            default="auto",
            help=f"ask over {transport.upper()} alone",
        )
    add("--ca", metavar="FILE", help="with --tls: trust the certificates in FILE")
    add("--cert", metavar="FILE", help="with --tls: show this certificate, to --server alone")
    add("--key", metavar="FILE", help="the key of --cert, unless that file has it, too")
    add("--timeout", metavar="S", type=float, default=5.0, help="wait S seconds in all (5)")
    family = parser.add_mutually_exclusive_group()
    for number in (4, 6):
        family.add_argument(
            f"-{number}",
            dest="family",
            action="store_const",
            const=number,
            default=0,
            help=f"use IPv{number} alone",
        )
    add("--format", choices=("text", "json", "yaml", "wire"), default="text", help="(text)")
    add("--version", action="version", version=f"%(prog)s {phonebook.__version__}")


def prepare(arguments: list[str], refuse: Callable[[str], object]) -> list[str]:
    """Mark the words that begin with - and are no options, so that the parser leaves them alone.

    Only behind the first word of the query: before it, a mistyped option is one, and refused.
    """
    marked: list[str] = []
    asked = takes_value = False
    for place, argument in enumerate(arguments):
        if argument == "--":
            return marked + arguments[place:]
        if takes_value:
            takes_value = False
        elif argument.startswith("--"):
            takes_value = argument in VALUED
        elif argument.startswith("-") and argument not in ("-", "-4", "-6", "-h"):
            if not asked:
                refuse(f"{argument} is no option; a word to leave out goes behind the first, or --")
            argument = MARK + argument
        else:
            asked = True
        marked.append(argument)
    return marked


def run(args: Namespace) -> int:
    """Look up and print; return the exit code."""
    try:
        return _run(args)
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(args: Namespace) -> int:
    from phonebook.cli import output
    from phonebook.client import answer, blocking

    # The octets that were typed, which are UTF-8 even where the locale says ASCII.
    typed = os.fsencode(" ".join(each.removeprefix(MARK) for each in args.query))
    # What is pasted has tabs and line ends between words.
    query = re.sub(rb"[\t-\r ]+", b" ", typed).strip().decode("utf-8", "surrogateescape")
    wire: list[str] = []
    links = _names(args.links)
    common = {
        "server": args.server,
        "fields": _names(args.fields),
        "transport": args.transport,
        "timeout": args.timeout,
        "cafile": args.ca,
        "certfile": args.cert,
        "keyfile": args.key,
        "family": args.family,
        "trace": lambda side, octets: wire.extend(output.wire_lines(side, octets)),
    }
    found = answer.Answer(())
    problem, code = "", FOUND
    try:
        if links:
            if args.kind:
                raise answer.BadInput("--links is about one entry: leave --kind out.")
            found = blocking.linked(query, links, limit=args.limit, after=args.after, **common)
        elif args.id:
            if args.kind or args.after:
                raise answer.BadInput("--id names one entry: leave --kind and --after out.")
            one = blocking.entry(query, **common)
            found = answer.Answer((one,) if one else (), matched=1)
        else:
            found = blocking.lookup(
                query, kind=args.kind, limit=args.limit, after=args.after, **common
            )
    except answer.BadInput as error:
        problem, code = str(error), WRONG_USE
    except answer.Refused as error:
        later = f" in {error.retry} seconds" if error.retry else " later"
        known = ADVICE | ADVICE_ON_LINKS if links else ADVICE
        advice = known.get(error.code, "The server refused the request.").format(later=later)
        problem, code = f"{advice} ({f'{error.code} {error.text}'.strip()})", NO_ANSWER
    except answer.ClientError as error:
        problem, code = str(error), NO_ANSWER
    else:
        if found.near:
            problem, code = f"Nothing found for {query} as written; these are nearest.", NOTHING
        elif not found.entries:
            problem, code = f"Nothing found for {query}", NOTHING
        elif found.left:
            narrower = "" if links else "add a word, or "
            problem = f"{found.left:,} more: {narrower}--limit {found.matched}."
    if args.format == "wire":
        text = "".join(f"{line}\n" for line in wire)
    elif code in (WRONG_USE, NO_ANSWER):
        text = ""
    elif args.format == "json":
        text = output.as_json(found)
    elif args.format == "yaml":
        text = output.as_yaml(found)
    else:
        text = output.as_text(found, asked=bool(args.fields), links=links, of=query, width=_width())
        if found.near:
            problem = ""  # the heading says it
    if not _write(text):
        problem = ""
    if problem:
        print(f"phonebook: {output.visible(problem)}", file=sys.stderr)
    return code


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")] if text else []


def _width() -> int | None:
    """Return the columns of the terminal that is written to, if it is one and says how many."""
    return (shutil.get_terminal_size((0, 0)).columns or None) if sys.stdout.isatty() else None


def _write(text: str) -> bool:
    """Write UTF-8 whatever the locale; return whether anybody reads it."""
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # Python flushes once more at its end, and would complain then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True
