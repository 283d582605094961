"""What Cache.stats() returns: a dict of counters that shows itself as a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape
from typing import Union

Figure = Union[int, float, str]

_EMPTY = "nothing is stored, and nothing was asked for yet"
_OF_NO_NAMESPACE = ("", "client")
_SIZES = ("B", "K", "M", "G", "T", "P", "E")
_TIMES = ((86_400.0, "d"), (3600.0, "h"), (60.0, "m"), (1.0, "s"))


def size_text(size: int) -> str:
    """As the command line writes sizes: 1023B, 9.9G."""
    value, unit = float(size), 0
    while value >= 1023.5 and unit + 1 < len(_SIZES):
        value, unit = value / 1024, unit + 1
    return f"{value:.1f}{_SIZES[unit]}" if unit and value < 9.95 else f"{value:.0f}{_SIZES[unit]}"


def _time_text(us: int) -> str:
    for seconds, unit in _TIMES:
        if us >= seconds * 1_000_000:
            return f"{us / 1_000_000 / seconds:.1f}{unit}"
    return f"{us // 1000}ms"


def _whole(scope: dict[str, Figure], beginning: str) -> int:
    return sum(value for name, value in scope.items() if name.startswith(beginning) and isinstance(value, int))


def _ratio(scope: dict[str, Figure]) -> str:
    hits, misses = _whole(scope, "hits"), _whole(scope, "misses")
    return f"{100 * hits // (hits + misses)}%" if hits + misses else "-"


_COLUMNS: tuple[tuple[str, Callable[[dict[str, Figure]], str]], ...] = (
    ("objects", lambda scope: f"{_whole(scope, 'objects'):,}"),
    ("room", lambda scope: size_text(_whole(scope, "charged_bytes") or _whole(scope, "held_bytes"))),
    ("hits", lambda scope: f"{_whole(scope, 'hits'):,}"),
    ("misses", lambda scope: f"{_whole(scope, 'misses'):,}"),
    ("of gets", _ratio),
    ("saved", lambda scope: _time_text(_whole(scope, "saved_us"))),
    ("expired", lambda scope: f"{_whole(scope, 'expired'):,}"),
    ("evicted", lambda scope: f"{_whole(scope, 'evicted'):,}"),
)


class Stats(dict[str, dict[str, Figure]]):
    """Counters by scope and name. Printed, and in a notebook, it is a table of the namespaces."""

    def _rows(self) -> list[tuple[str, ...]]:
        return [(name, *(cell(scope) for _, cell in _COLUMNS))
                for name, scope in sorted(self.items()) if name not in _OF_NO_NAMESPACE and "objects" in scope]

    def _notes(self) -> list[str]:
        daemon, client = self.get("", {}), self.get("client", {})
        notes = []
        for used, limit in (("used_bytes", "limit_bytes"), ("held_bytes", "quota_bytes")):  # the store's, or this user's
            if used in daemon and limit in daemon:
                notes.append(f"{size_text(_whole(daemon, used))} of {size_text(_whole(daemon, limit))} used")
        notes += [f"{client[name]:,} {words}" for name, words in (
            ("outages", "calls without a daemon"), ("load_errors", "values that could not be loaded"),
            ("strangers", "values of writers who are not trusted")) if client.get(name)]
        return notes

    def __repr__(self) -> str:
        rows = self._rows()
        if not rows:
            return "\n".join([_EMPTY, *self._notes()])
        table = [("namespace", *(title for title, _ in _COLUMNS)), *rows]
        widths = [max(map(len, column)) for column in zip(*table)]
        lines = ["  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))])
                 for row in table]
        return "\n".join([*lines, *self._notes()])

    __str__ = __repr__

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(title)}</th>" for title in ("namespace", *(title for title, _ in _COLUMNS)))
        body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in self._rows())
        notes = "".join(f"<div>{escape(note)}</div>" for note in self._notes())
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{notes}"


def stats_of(lines: Iterable[tuple[str, str, str]], counts: dict[str, int]) -> Stats:
    """Of the daemon's lines: scope, name, value; and of what a Cache counted."""
    scopes = Stats()
    for scope, name, value in lines:
        scopes.setdefault(scope, {})[name] = _number(value)
    scopes["client"] = dict(counts)
    return scopes


def _number(text: str) -> Figure:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text
