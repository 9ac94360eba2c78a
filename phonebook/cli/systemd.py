"""`phonebook systemd DIR`: a service and its sockets, as units for systemd, hardened."""

import argparse
import ipaddress
import os
import re
import sys
import sysconfig
from pathlib import Path

from phonebook.cli.flags import directory, in_force
from phonebook.settings import Chosen, SettingError

_EPILOG = """\
Write each unit where its first line says, then: systemctl enable --now phonebook.socket

example:
  phonebook systemd /etc/phonebook
"""

_OF_UNITS = ("host", "port", "tls-cert", "tls-key", "user", "cache")
"""What the units themselves settle."""

_PLAIN = re.compile(r"[0-9A-Za-z/._%$=:+-]+")  # a word that needs no quotes

_SOCKET = """\
# /etc/systemd/system/phonebook.socket
# systemd holds the port from boot on, before an RPC client can take it, and while the server
# restarts.
[Unit]
Description=Phonebook directory, port {port}

[Socket]
{listen}
BindIPv6Only=ipv6-only
NoDelay=yes
Backlog=512

[Install]
WantedBy=sockets.target
"""

_SERVICE = """\
# /etc/systemd/system/phonebook.service
# It runs as a user that exists while it runs: the directory must be readable for all, or for a
# group that is named by SupplementaryGroups=.
[Unit]
Description=Phonebook directory server
Requires=phonebook.socket
After=phonebook.socket network.target

[Service]
Type=notify
ExecStart={command}
ExecReload=/bin/kill -HUP $MAINPID
WatchdogSec=30
Restart=on-failure
LimitNOFILE=65536
DynamicUser=yes
UMask=0077
CacheDirectory=phonebook
CacheDirectoryMode=0700
RuntimeDirectory=phonebook
RuntimeDirectoryMode=0700
{credentials}{variables}\
AmbientCapabilities=CAP_NET_BIND_SERVICE
CapabilityBoundingSet=CAP_NET_BIND_SERVICE
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome={home}
ProtectProc=invisible
ProcSubset=pid
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
PrivateDevices=yes
PrivateMounts=yes
PrivateTmp=yes
KeyringMode=private
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM
SystemCallFilter=@system-service
SystemCallFilter=~@privileged

[Install]
WantedBy=multi-user.target
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `systemd` takes."""
    parser.epilog = _EPILOG
    parser.add_argument("dir", metavar="DIR", type=directory, nargs="?", default=Path(), help="(.)")


def run(arguments: argparse.Namespace) -> int:
    """Print both: 0; 2 for a setting that cannot be in a unit, 4 where no directory is."""
    path = arguments.dir.resolve()
    if not path.exists():
        print(f"phonebook: there is no {path}: name a folder or a file", file=sys.stderr)
        return 4
    try:
        chosen, _ = in_force(arguments, path)
        listen = _listen(chosen)
    except SettingError as error:
        print(f"phonebook: {error}", file=sys.stderr)
        return 2
    script = Path(sysconfig.get_path("scripts"), "phonebook")
    begin = [str(script)] if script.exists() else [sys.executable, "-P", "-m", "phonebook"]
    at_home = any(
        place.is_relative_to(home)
        for place in (path, script)
        for home in (Path("/home"), Path("/root"))
    )
    print(_SOCKET.format(port=chosen["port"].value, listen=listen))
    print(
        _SERVICE.format(
            command=" ".join(map(_quoted, [*begin, "serve", str(path)])),
            credentials=_credentials(chosen),
            variables=_variables(chosen),
            home="read-only" if at_home else "yes",
        ),
        end="",
    )
    return 0


def _listen(chosen: dict[str, Chosen]) -> str:
    """Return a line for each address and transport."""
    lines = []
    for host in chosen["host"].value or ("0.0.0.0", "::"):
        try:
            version = ipaddress.ip_address(host).version
        except ValueError:
            raise SettingError(f"host is {host!r}: a unit needs an address, no name") from None
        where = f"{host if version == 4 else f'[{host}]'}:{chosen['port'].value}"
        for key, line in (("tcp", "ListenStream"), ("udp", "ListenDatagram")):
            if chosen[key].value:
                lines.append(f"{line}={where}")
    return "\n".join(lines)


def _credentials(chosen: dict[str, Chosen]) -> str:
    """Return the lines by which systemd hands over keys that the service's user may not read."""
    lines = ["# Only root needs to read these; a restart brings new ones."]
    for key in ("tls-cert", "tls-key"):
        if file := chosen[key].value:
            path = os.path.abspath(file).replace("%", "%%")
            lines.append(f"LoadCredential={key}:{path}")
            lines.append(f"Environment={chosen[key].setting.variable}=%d/{key}")
    return "".join(f"{line}\n" for line in lines) if len(lines) > 1 else ""


def _variables(chosen: dict[str, Chosen]) -> str:
    """Return the lines that pass on the settings of this environment, but for the sockets'."""
    lines = []
    for key, each in chosen.items():
        if each.source == "environment" and key not in _OF_UNITS:
            text = os.path.abspath(each.value) if isinstance(each.value, Path) else each.text
            lines.append(f"Environment={_escaped(f'{each.setting.variable}={text}')}")
    return "".join(f"{line}\n" for line in lines)


def _quoted(word: str) -> str:
    """Return a word of a command as systemd reads it."""
    return _escaped(word.replace("$", "$$"))


def _escaped(word: str) -> str:
    """Return a word of a line as systemd reads it."""
    for special, escaped in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%")):
        word = word.replace(special, escaped)
    return word if _PLAIN.fullmatch(word) else f'"{word}"'
