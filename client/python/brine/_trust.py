"""Whose pickles are loaded besides this user's own: names of users, made to uids."""

from __future__ import annotations

import pwd
from collections.abc import Iterable
from typing import Final

_UID_MAX: Final = 2**32 - 2  # one more is nobody's
_OVERFLOW: Final = 65534
# Given by systemd to a service as long as it runs, and to another one later (DynamicUser=).
_DYNAMIC: Final = range(61184, 65520)


def trusted_uids(trust: Iterable[str | int]) -> tuple[int, ...]:
    """The uids, each once. Looks names up now: what an account is called later makes no difference."""
    if isinstance(trust, (str, bytes)) or not isinstance(trust, Iterable):
        raise TypeError(f"trust={trust!r}: a list of users, such as trust=[{trust!r}]")
    return tuple(dict.fromkeys(_uid(user) for user in trust))


def _uid(user: object) -> int:
    if isinstance(user, str):
        try:
            uid = pwd.getpwnam(user).pw_uid
        except KeyError:
            raise ValueError(f"trust: this machine has no user {user!r}") from None
    elif isinstance(user, int) and not isinstance(user, bool):
        uid = user
    else:
        raise TypeError(f"trust: a user is a name or a uid, not {type(user).__qualname__}")
    if not 0 <= uid <= _UID_MAX:
        raise ValueError(f"trust: {uid} is no uid")
    if uid == _OVERFLOW:
        raise ValueError(f"trust: uid {uid} stands for everybody whom the kernel has no number for (nobody)")
    if uid in _DYNAMIC:
        raise ValueError(f"trust: uid {uid} is lent to services as they run (DynamicUser=), and tomorrow to another; "
                         "give the one you trust an account of its own")
    return uid


def user_of(uid: int) -> str:
    """As a person knows it."""
    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"
