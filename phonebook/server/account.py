"""Whose rights the server has: root's only until its sockets are bound."""

import os
from typing import Any


class AccountError(Exception):
    """The server cannot run as this user."""


def home_of(user: str) -> str:
    """Return the home of a user. Raises `AccountError`."""
    return str(_found(user).pw_dir)


def become(user: str) -> None:
    """Give up all rights but those of a user, for good, if one is named.

    Raises `AccountError`.
    """
    if not user:
        return
    found = _found(user)
    if os.geteuid() == found.pw_uid:
        return
    try:
        os.initgroups(found.pw_name, found.pw_gid)
        os.setresgid(found.pw_gid, found.pw_gid, found.pw_gid)
        os.setresuid(found.pw_uid, found.pw_uid, found.pw_uid)
    except OSError as error:
        raise AccountError(f"--user {user}: {error.strerror}; start it as root") from None


def own_name() -> str:
    """Return the name of the user whose rights the server has, or the number of a nameless one."""
    import pwd  # POSIX alone has it

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _found(user: str) -> Any:
    import pwd  # POSIX alone has it

    try:
        return pwd.getpwnam(user)
    except KeyError:
        raise AccountError(f"--user {user}: there is no such user here") from None
