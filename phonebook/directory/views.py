"""The views of a directory: who is shown more than everybody, and how such a viewer is known.

Implements the section "Views" of spec/directory.md, as far as it looks at the header.
"""

import re
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network

from phonebook.directory.entry import Header, View
from phonebook.directory.fields import is_id, meant
from phonebook.directory.nodes import ListNode, Node, Refused
from phonebook.directory.problems import Problems, quoted
from phonebook.directory.values import NAME_OCTETS, line, lines, pairs

MAX_VIEWS = 8
MAX_TESTS = 64
"""Networks of a view, and certificates: whoever asks is held against each."""

RESERVED = "public"
"""What messages call the view of those who have no other: no view may bear this name."""

_KEYS = ("name", "networks", "certificates", "includes")
_CERTIFICATE_KEYS = ("key", "name")

_NETWORK = re.compile(r"[0-9.]+(?:/[0-9]{1,2})?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(?:/[0-9]{1,3})?")
_MAPPED = IPv6Network("::ffff:0:0/96")  # IPv4 addresses as some systems show them
_DIGEST = re.compile(r"[0-9A-Fa-f]{64}")
_NAME = re.compile(
    r"dns:[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?"
    r"|email:[!-?A-~]+@[!-?A-~]+"
    r"|uri:[A-Za-z][A-Za-z0-9+.-]*:[!-~]+"
)

Network = IPv4Network | IPv6Network


def read_views(node: Node, problems: Problems) -> tuple[View, ...]:
    """Read what stands under `views:`. A view with errors counts, so that it is known by name."""
    if not isinstance(node, ListNode):
        if not isinstance(node, Refused):
            problems.error(
                "not-a-list", node, "`views` is a list; write `- name:` and `networks:` under it."
            )
        return ()
    found: dict[str, View] = {}
    includes: dict[str, Sequence[tuple[str, Node]]] = {}
    networks: list[tuple[str, Network]] = []
    for item in node.items[:MAX_VIEWS]:
        reader = _Reader(item, problems, networks)
        if reader.name in found:
            problems.error(
                "duplicate-view",
                item,
                f"Another view has the name {quoted(reader.name)}: write another `name:`.",
            )
        elif reader.name:
            found[reader.name] = reader.view()
            includes[reader.name] = reader.includes
    if len(node.items) > MAX_VIEWS:
        problems.error(
            "too-many-views",
            node.items[MAX_VIEWS],
            f"A directory has {MAX_VIEWS} views at most: remove the others.",
        )
    header = Header(views=tuple(found.values()))
    for name, included in includes.items():
        _check_includes(name, included, header, problems)
    return header.views


class _Reader:
    """Reads one view."""

    def __init__(self, node: Node, problems: Problems, networks: list[tuple[str, Network]]) -> None:
        """Read every key; the networks of the views before this one stand in `networks`."""
        self.problems = problems
        self.name = ""
        self.networks: list[Network] = []
        self.keys: list[str] = []
        self.names: list[str] = []
        self.includes: list[tuple[str, Node]] = []
        values: dict[str, Node] = {}
        before = len(problems)
        for key, value in pairs(node, "A view", problems):
            values[key.value] = value
            if key.value not in _KEYS:
                problems.error(
                    "unknown-key",
                    key,
                    f"A view has no key {quoted(key.value)}: {meant(key.value, _KEYS, problems)}",
                )
        if "name" in values:
            self._read_name(values["name"])
        if "networks" in values:
            self._read_networks(values["networks"], networks)
        if "certificates" in values:
            self._read_certificates(values["certificates"])
        if "includes" in values:
            self.includes += dict(lines(values["includes"], "`includes`", problems)).items()
        if not values and len(problems) > before:
            return  # it is no mapping
        if "name" not in values:
            problems.error("missing-key", node, "A view needs `name:`.")
        if "networks" not in values and "certificates" not in values:
            problems.error(
                "missing-key",
                node,
                "A view needs `networks:` or `certificates:`, which say whose view it is.",
            )

    def view(self) -> View:
        """Return the view, as far as it could be read."""
        return View(
            self.name,
            tuple(map(str, self.networks)),
            tuple(self.keys),
            tuple(self.names),
            tuple([name for name, _ in self.includes]),
        )

    def _read_name(self, node: Node) -> None:
        name = line(node, "`name`", self.problems)
        if name == RESERVED:
            self.problems.error(
                "bad-view",
                node,
                f"`{RESERVED}` is the view of everybody who has no other: write another `name:`.",
            )
        elif name is not None and not is_id(name):
            self.problems.error(
                "bad-view",
                node,
                f"No view can be called {quoted(name)}: write a-z, 0-9, `.`, `_` and `-`, a letter "
                "or digit first.",
            )
        self.name = name or ""

    def _read_networks(self, node: Node, before: list[tuple[str, Network]]) -> None:
        found = lines(node, "`networks`", self.problems)
        if len(found) > MAX_TESTS:
            self.problems.error(
                "too-many-networks",
                found[MAX_TESTS][1],
                f"A view has {MAX_TESTS} networks at most: write larger ones.",
            )
        for text, at in found[:MAX_TESTS]:
            network, mistake = _network(text)
            if network is None:
                self.problems.error("bad-network", at, mistake)
                continue
            self.networks.append(network)
            for view, other in before:
                if view != self.name and _lies_in(network, other):
                    self.problems.warning(
                        "network-taken",
                        at,
                        f"`{network}` lies in `{other}`, and who asks from there has the view "
                        f"{quoted(view)}, which stands first: write that view below this one.",
                    )
                    break
        before += [(self.name, each) for each in self.networks]

    def _read_certificates(self, node: Node) -> None:
        if not isinstance(node, ListNode) or not node.items:
            if not isinstance(node, Refused):
                self.problems.error(
                    "not-a-list",
                    node,
                    "`certificates` is a list; write `- key:` or `- name:` for each.",
                )
            return
        if len(node.items) > MAX_TESTS:
            self.problems.error(
                "too-many-certificates",
                node.items[MAX_TESTS],
                f"A view has {MAX_TESTS} certificates at most: remove the others, or have "
                "one name stand in several.",
            )
        for item in node.items[:MAX_TESTS]:
            self._read_certificate(item)

    def _read_certificate(self, node: Node) -> None:
        before, found = len(self.problems), 0
        advice = "write `- name: dns:HOST`, `- name: email:ADDRESS` or `- key: DIGITS`"
        for key, value in pairs(node, "A certificate", self.problems, advice):
            if key.value not in _CERTIFICATE_KEYS:
                self.problems.error(
                    "unknown-key",
                    key,
                    f"A certificate has no key {quoted(key.value)}: "
                    f"{meant(key.value, _CERTIFICATE_KEYS, self.problems)}",
                )
                continue
            found += 1
            text = line(value, quoted(key.value), self.problems)
            if text is None:
                continue
            if key.value == "key":
                self._read_digest(text, value)
            else:
                self._read_alternative(text, value)
        if found != 1 and len(self.problems) == before:
            self.problems.error(
                "bad-certificate",
                node,
                "A certificate is known by `key:` or by `name:`: write one of the two, and a "
                "further `- ` for another.",
            )

    def _read_digest(self, text: str, at: Node) -> None:
        if _DIGEST.fullmatch(text):
            self.keys.append(text.lower())
        else:
            self.problems.error(
                "bad-certificate",
                at,
                f"{quoted(text)} is no SHA-256 of a public key: write its 64 hexadecimal digits.",
            )

    def _read_alternative(self, text: str, at: Node) -> None:
        if not _NAME.fullmatch(text) or len(text) > NAME_OCTETS:
            self.problems.error(
                "bad-certificate",
                at,
                f"{quoted(text)} is no name of a certificate: write `dns:HOST`, `email:ADDRESS` "
                "or `uri:URI`.",
            )
        else:
            self.names.append(text.lower() if text.startswith("dns:") else text)


def _network(text: str) -> tuple[Network | None, str]:
    """Return a network; None where it is none, and the sentence that says so."""
    try:
        network = ip_network(text, strict=False) if _NETWORK.fullmatch(text) else None
    except ValueError:
        network = None
    if network is None:
        return None, (
            f"{quoted(text)} is no network: write an address and its length, as in `192.0.2.0/24` "
            "or `2001:db8::/32`."
        )
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        own = network.network_address.ipv4_mapped
        return None, (
            f"{quoted(text)} is IPv4 within IPv6, and is looked up as IPv4: write "
            f"`{own}/{network.prefixlen - 96}`."
        )
    address = text.partition("/")[0]
    if ip_network(address).network_address != network.network_address:
        return None, (
            f"{quoted(text)} is an address within a network: write `{network}`, or `{address}` for "
            "that address alone."
        )
    return network, ""


def _lies_in(network: Network, other: Network) -> bool:
    if isinstance(network, IPv4Network):
        return isinstance(other, IPv4Network) and network.subnet_of(other)
    return isinstance(other, IPv6Network) and network.subnet_of(other)


def _check_includes(
    name: str, included: Sequence[tuple[str, Node]], header: Header, problems: Problems
) -> None:
    """Hold what a view includes to be other views that do not include it."""
    others = [each.name for each in header.views if each.name != name]
    for other, at in included:
        if other == RESERVED:
            problems.error("bad-view", at, "Every view has what is public: remove the line.")
        elif other == name:
            problems.error("view-cycle", at, f"{quoted(name)} includes itself: remove the line.")
        elif other not in others:
            advice = meant(other, others, problems) if others else "remove the line."
            problems.error("unknown-view", at, f"There is no other view {quoted(other)}: {advice}")
        elif name in header.sees(other):
            problems.error(
                "view-cycle",
                at,
                f"{quoted(name)} includes {quoted(other)}, which includes {quoted(name)}: remove "
                "one of the two.",
            )
