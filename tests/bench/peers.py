"""The peers: other directory servers, each started with the entries that Phonebook serves.

They are Debian's packages: slapd, dictd and dictfmt, fingerd and openbsd-inetd, nsd. One that is
not here is left out, with the reason. Each is a function that yields the server until the end of
its block, and beside it one that makes requests for it.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from data import Person
from processes import HOST, NotHereError, Server, free_port, started, stock

MODULES = [Path("/usr/lib/ldap"), Path("/usr/libexec/openldap"), Path("/usr/lib/openldap")]
SCHEMAS = [Path("/etc/ldap/schema"), Path("/etc/openldap/schema")]
USERS = 1_000  # whom finger knows at most: it reads the whole list of users for each query
DOMAIN = "phonebook.example"

Peer = Callable[[Path, Sequence[Person]], AbstractContextManager[Server]]


def program(name: str) -> str:
    """Return the path of an installed program."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/usr/lib/openldap")
    if found is None:
        raise NotHereError(f"{name} is not installed")
    return found


def there(places: Sequence[Path]) -> Path:
    """Return the first of these that exists."""
    for place in places:
        if place.exists():
            return place
    raise NotHereError(f"none of these is here: {', '.join(map(str, places))}")


def run(command: Sequence[str | Path], text: bytes = b"") -> None:
    """Run a program that prepares something."""
    done = subprocess.run(command, input=text, capture_output=True, check=False)
    if done.returncode:
        raise NotHereError(f"{command[0]} failed: {done.stderr[-300:].decode(errors='replace')}")


# slapd: LDAP, an indexed equality on uid, four attributes back

SLAPD = """\
include {schemas}/core.schema
include {schemas}/cosine.schema
include {schemas}/inetorgperson.schema
modulepath {modules}
moduleload back_mdb
loglevel 0
sizelimit unlimited
database mdb
suffix "dc=example"
directory {folder}
maxsize 8589934592
dbnosync
index objectClass,uid eq
"""
ATTRIBUTES = [b"uid", b"cn", b"telephoneNumber", b"mail"]


@contextlib.contextmanager
def slapd(folder: Path, people: Sequence[Person]) -> Iterator[Server]:
    """Run slapd with an mdb database, without a log."""
    binary = program("slapd")
    settings = folder / "slapd.conf"
    (database := folder / "mdb").mkdir()
    settings.write_text(
        SLAPD.format(schemas=there(SCHEMAS), modules=there(MODULES), folder=database)
    )
    ldif = folder / "people.ldif"
    with ldif.open("wb") as out:
        out.write(b"dn: dc=example\nobjectClass: domain\ndc: example\n\n")
        for person in people:
            out.write(f"dn: uid={person.id},dc=example\nobjectClass: inetOrgPerson\n".encode())
            out.write(f"uid: {person.id}\ncn: {person.name}\n".encode())
            out.write(f"sn: {person.name.split()[-1]}\n".encode())
            if person.phone:
                out.write(f"telephoneNumber: {person.phone}\n".encode())
            if person.email:
                out.write(f"mail: {person.email}\n".encode())
            out.write(b"\n")
    run([program("slapadd"), "-q", "-f", settings, "-l", ldif])
    port = free_port()
    url = f"ldap://{HOST}:{port}"
    command = [binary, "-d", "0", "-h", url, "-f", str(settings)]
    with started(command, folder / "slapd.log", port=port) as server:
        yield server


def ldap_search(key: str) -> bytes:
    """Return a search for a uid."""
    equal = ber(0xA3, ber(4, b"uid") + ber(4, key.encode()))
    sought = b"".join(ber(4, name) for name in ATTRIBUTES)
    numbers = ber(10, b"\2") + ber(10, b"\0") + ber(2, b"\0") + ber(2, b"\0") + ber(1, b"\0")
    search = ber(0x63, ber(4, b"dc=example") + numbers + equal + ber(0x30, sought))
    return ber(0x30, ber(2, b"\1") + search)


def ber(tag: int, content: bytes) -> bytes:
    """Return an element of BER."""
    length = len(content)
    head = bytes([length]) if length < 128 else b"\x82" + length.to_bytes(2, "big")
    return bytes([tag]) + head + content


# dictd: the ids are the headwords


@contextlib.contextmanager
def dictd(folder: Path, people: Sequence[Person]) -> Iterator[Server]:
    """Run dictd."""
    binary = program("dictd")
    text = "".join(
        f":{person.id}:\n  {person.name}\n  phone {person.phone}\n  mail {person.email}\n"
        for person in people
    )
    options = ["--utf8", "--allchars", "--without-headword", "--columns", "0", "--quiet"]
    base = folder / "people"
    run([program("dictfmt"), "-j", *options, base], text.encode())
    settings = folder / "dictd.conf"
    settings.write_text(f'database people {{ data "{base}.dict"\n index "{base}.index" }}\n')
    folder.chmod(0o755)  # it gives up being root
    port = free_port()
    command = [binary, "-d", "nodetach", "-c", str(settings), "-p", str(port), "--listen-to", HOST]
    command += ["--depth", "1000", "--limit", "10000", "--pid-file", str(folder / "dictd.pid")]
    with started(command, folder / "dictd.log", port=port) as server:
        yield server


def dict_define(key: str) -> bytes:
    """Return a request for the entry of a headword."""
    return f'DEFINE people "{key}"\r\n'.encode()


def dict_prefix(key: str) -> bytes:
    """Return a request for the headwords that begin like this."""
    return f'MATCH people prefix "{key}"\r\n'.encode()


def dict_near(key: str) -> bytes:
    """Return a request for the headwords at a distance of one, as it has them."""
    return f'MATCH people lev "{key.replace(" ", "-")}"\r\n'.encode()


# finger: the daemon under its superserver, with users of its own


@contextlib.contextmanager
def finger(folder: Path, people: Sequence[Person]) -> Iterator[Server]:
    """Run inetd with fingerd, where /etc/passwd, for them alone, is a list of a thousand users."""
    inetd, daemon, unshare = program("inetd"), program("in.fingerd"), program("unshare")
    if os.geteuid() != 0:
        raise NotHereError("users for finger: only root can give a process its own /etc/passwd")
    users = folder / "passwd"
    system = Path("/etc/passwd").read_text()
    users.write_text(
        system
        + "".join(
            f"{finger_name(number)}:x:{20_000 + number}:65534:{person.name.replace(',', '')}"
            ":/nonexistent:/bin/false\n"
            for number, person in enumerate(people[:USERS])
        ).replace("::", ":")
    )
    port = free_port()
    settings = folder / "inetd.conf"
    settings.write_text(
        f"{HOST}:{port} stream tcp nowait.1000000 nobody {daemon} {Path(daemon).name}\n"
    )
    script = f"mount --bind {users} /etc/passwd && exec {inetd} -i -R 1000000 {settings}"
    with started(
        [unshare, "--mount", "sh", "-c", script], folder / "inetd.log", port=port
    ) as server:
        yield server


def finger_name(number: int) -> str:
    """Return the name of a user."""
    return f"user{number}"


def finger_query(number: int) -> bytes:
    """Return a query for a user."""
    return f"{finger_name(number)}\r\n".encode()


# names: a TXT record for each id

NSD = """\
server:
  ip-address: {host}@{port}
  server-count: 1
  username: ""
  chroot: ""
  database: ""
  zonesdir: "{folder}"
  zonelistfile: "{folder}/zone.list"
  xfrdfile: "{folder}/xfrd.state"
  pidfile: "{folder}/nsd.pid"
  rrl-ratelimit: 0
  hide-version: yes
remote-control:
  control-enable: no
zone:
  name: {domain}
  zonefile: zone
"""


@contextlib.contextmanager
def nsd(folder: Path, people: Sequence[Person]) -> Iterator[Server]:
    """Run nsd with one serving process, without its limit of rates."""
    binary = program("nsd")
    port = free_port()
    settings = folder / "nsd.conf"
    settings.write_text(NSD.format(host=HOST, port=port, folder=folder, domain=DOMAIN))
    with (folder / "zone").open("w", encoding="utf-8") as out:
        out.write(f"$ORIGIN {DOMAIN}.\n$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\n")
        out.write(f"ns A {HOST}\n")
        for person in people:
            octets = "".join(
                chr(each) if 32 <= each < 127 and each not in b'"\\' else f"\\{each:03}"
                for each in record(person)
            )
            out.write(f'{person.id} TXT "{octets}"\n')
    with started([binary, "-d", "-c", settings], folder / "nsd.log", port=port) as server:
        yield server


@contextlib.contextmanager
def twisted_names(folder: Path, people: Sequence[Person]) -> Iterator[Server]:
    """Run Twisted's own name server."""
    zone = folder / "names"
    zone.write_bytes(b"".join(b"%s\t%s\n" % (each.id.encode(), record(each)) for each in people))
    with stock("names", zone, folder / "names.log") as server:
        yield server


def record(person: Person) -> bytes:
    """Return the text of a record."""
    return f"{person.name}; {person.phone}; {person.email}".encode()[:255]


def dns_query(key: str) -> bytes:
    """Return a query for the text of a name."""
    labels = f"{key}.{DOMAIN}".encode().split(b".")
    name = b"".join(bytes([len(label)]) + label for label in labels)
    return b"\x12\x34\0\0\0\1\0\0\0\0\0\0" + name + b"\0\0\x10\0\1"


def versions() -> dict[str, str]:
    """Return which versions of the peers are installed, as Debian numbers them."""
    found = {}
    for package in ("slapd", "dictd", "fingerd", "openbsd-inetd", "nsd", "gcc"):
        query = ["dpkg-query", "-W", "-f", "${Version}", package]
        with contextlib.suppress(FileNotFoundError):
            done = subprocess.run(query, capture_output=True, text=True, check=False)
            found[package] = done.stdout if done.returncode == 0 else "not installed"
    return {**found, "python": sys.version.split()[0]}
