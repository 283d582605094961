"""One event loop's connection to the daemon: what a Wire needs of the loop, and what happens when it breaks.

All calls of one loop go over one connection, many at a time, and each is found by its answer. A call that is cancelled
leaves its request behind: the answer is taken and thrown away.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncGenerator, Callable
from math import inf
from typing import TYPE_CHECKING, Any, Final

from . import _brine
from ._compute import NO_WAIT

if TYPE_CHECKING:
    from ._brine import AsyncClient, Request, Turn

# errors.def
_SHUTTING_DOWN: Final = -1
_BUSY: Final = -4
UNSUPPORTED: Final = -33
_UNREACHABLE: Final = -128
_TIMED_OUT: Final = -129
_CUT_OFF: Final = -130
_DISABLED: Final = -135

# After a failure to connect, or a silence, calls fail at once for so long; after each silence more twice as long.
_RETRY: Final = 1.0
_RETRY_MAX: Final = 16.0
# How long the successor of a daemon that leaves is waited for, whatever the timeout, and in which steps.
_SUCCESSOR_MAX: Final = 10.0
_SUCCESSOR_STEP: Final = 0.005
# Between two tries of who waits for a computation, each pause twice as long as the one before.
_PAUSE_FIRST: Final = 0.001
_PAUSE_MAX: Final = 0.1
# The longest wait that one request asks for. One that nobody waits for any more is gone after it.
_PARK_MS: Final = 60_000
# The longest silence of a daemon that is asked whether it makes room.
_RENEW_MS: Final = 1000
# Leaving away, one after the other, what an older daemon does not know takes no more sendings.
_LACKS_MAX: Final = 5


# As HELLO says it.
_RELEASE: Final = int.from_bytes(map(int, _brine.version.split(".")), "big")


def renew(settled: dict[str, Any]) -> None:
    """A blocking client, of the same arguments, asks the daemon something: it does then with an older one what it always
    does. For a thread. Where nothing comes of it, that daemon goes on serving."""
    hasty: dict[str, Any] = {**settled, "timeout_ms": _RENEW_MS}
    with contextlib.suppress(Exception):
        client = _brine.Client(**hasty)
        client._ping()
        client.close()


class Link(_brine.Wire):
    """Belongs to one loop and is used in its thread alone."""

    def __init__(self, client: AsyncClient, loop: asyncio.AbstractEventLoop, timeout: float, renew: Callable[[], object],
                 ended: Callable[[], object]) -> None:
        """timeout: in seconds, or inf. renew: called in a thread where the daemon is of an older release. ended: called
        when the loop ends, or end()."""
        super().__init__(client, loop.create_future)
        self._loop, self._pid = loop, os.getpid()
        self._timeout = timeout
        self._patience = 1.0 if timeout == inf else timeout
        self._retry_at = self._successor_until = 0.0
        self._refusal = (_UNREACHABLE, "")
        self._silences = 0  # in a row
        self._probing = False  # after one: the first call asks whether it is over, and no other
        self._seeking: asyncio.Task[None] | None = None
        self._off = asyncio.Event()  # there is no connection
        self._off.set()
        # Who waits for room stands in this line; its first is told by _next of each answer.
        self._line, self._in_line = asyncio.Lock(), 0
        self._next: asyncio.Future[None] | None = None
        self._held: set[Turn] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._renew, self._renewed = renew, 0  # the epoch of the last daemon for which that was
        self._forget = ended
        self._till_loop_ends = _till_loop_ends(self)

    # ---- one request

    async def insist(self, request: Request) -> None:
        """Until request has an answer which asking again would not better; an outage is one, too."""
        sent = lacks = 0
        cut = False
        while True:
            await self._carry(request)
            if not request.again:
                break
            if request.result == UNSUPPORTED:
                lacks += 1
                if lacks == _LACKS_MAX:
                    break
            else:
                # What a daemon that leaves did not do may be asked for as long as its successor is awaited; what
                # perhaps ended a daemon, only twice.
                sent += 1
                cut = cut or request.result == _CUT_OFF
                if sent > 1:
                    if request.result == _CUT_OFF or not self._awaits_successor():
                        break
                    await asyncio.sleep(_SUCCESSOR_STEP)
            request.renew()
        if cut:
            request.after_cut()

    async def insist_on_turn(self, request: Request, wait_ms: int) -> None:
        """The same for one that waits for a computation, for up to wait_ms (0: for ever): where its connection ends
        it is asked again on the next one."""
        now = self._loop.time()
        until = inf if not wait_ms else now if wait_ms == NO_WAIT else now + wait_ms / 1000
        give_up = pause = 0.0
        lacks = 0
        while True:
            left = until - now
            request.park(NO_WAIT if left <= 0 else min(_PARK_MS, int(left * 1000) + 1) if left < inf else _PARK_MS)
            asked_at = now
            await self._carry(request)
            if request.result == UNSUPPORTED and request.again and lacks < _LACKS_MAX:
                lacks += 1
                continue
            now = self._loop.time()
            if request.waited and now < until:
                continue
            lost = request.again
            if not lost and not (give_up and request.result == _UNREACHABLE):
                return
            if lost and (not give_up or now - asked_at >= self._patience):
                give_up, pause = now + self._patience, 0.0
            if now >= give_up:
                return
            await asyncio.sleep(pause)
            pause = min(max(2 * pause, _PAUSE_FIRST), _PAUSE_MAX)
            self._retry_at = 0.0  # this call may try more often than others
            now = self._loop.time()

    async def _carry(self, request: Request) -> None:
        """Until it has an answer to one sending, or the error that kept it from being sent."""
        while not request.answered:
            future = self.ask(request)
            if future is None and not request.answered:
                future = await self._later(request)
            if future is None:
                continue
            try:
                await future
            except BaseException:
                self.abandon(request)
                raise

    async def _later(self, request: Request) -> asyncio.Future[None] | None:
        """Returns when sending it is worth another try, or with its future."""
        if not self.connected:
            return await self._connect_for(request)
        if self._probing:
            request.fail(*self._refusal)
            return None
        if self.leaving:
            await self._off.wait()
            return None
        return await self._wait_in_line(request)

    async def _wait_in_line(self, request: Request) -> asyncio.Future[None] | None:
        self._in_line += 1
        self._want()
        try:
            async with self._line:
                while True:
                    future = self.ask(request, True)
                    if future is not None or request.answered or not self.connected or self.leaving:
                        return future
                    await self._answer()
        finally:
            self._left_line()

    def _left_line(self) -> None:
        self._in_line -= 1
        self._want()

    def _want(self) -> None:
        """Who comes now stands in line, or is told of a silence: ask() has a future for those who do not."""
        self.wanted = self._in_line > 0 or self._probing

    async def _answer(self) -> None:
        """Returns when something was answered. Of the first in line."""
        self._next = self._loop.create_future()
        await self._next

    async def drain(self) -> None:
        """Returns when nothing is outstanding but what waits for a computation."""
        self._in_line += 1
        self._want()
        try:
            async with self._line:
                while self.outstanding:
                    await self._answer()
        finally:
            self._left_line()

    # ---- leases

    def hold(self, turn: Turn) -> None:
        """As long as it is held, it is taken up again on each new connection."""
        self._held.add(turn)

    def let_go(self, turn: Turn, request: Request | None) -> None:
        """Its computation is over. request: what is left to say of that; nobody waits for an answer."""
        self._held.discard(turn)
        if request is not None and self.connected:
            self.post(request)
            self.flush()

    # ---- connecting

    def _awaits_successor(self) -> bool:
        return self._loop.time() < self._successor_until

    def _pause(self, result: int, message: str) -> None:
        """Every call gets this answer for a while, without trying."""
        self._retry_at = self._loop.time() + min(_RETRY * 2 ** self._silences, _RETRY_MAX)
        self._refusal = (result, message)
        if result == _TIMED_OUT:
            self._silences += 1

    async def _connect_for(self, request: Request) -> asyncio.Future[None] | None:
        """Makes a connection, or fails the request. Returns its future where it asks alone."""
        if self._seeking is None:
            if self._loop.time() < self._retry_at:
                request.fail(*self._refusal)
                return None
            result = self.connect(False)
            if result == 0:
                self._attach()
                return self.ask(request, True) if self._probing else None
            if result == _DISABLED:  # ask() answers
                return None
            if result != _BUSY and not self._awaits_successor():
                self._pause(result, self.message)
                request.fail(*self._refusal)
                return None
            self._seeking = self._loop.create_task(self._seek(result))
        await asyncio.wait([self._seeking])
        if not self.connected and self._loop.time() < self._retry_at:
            request.fail(*self._refusal)
        return None

    async def _seek(self, result: int) -> None:
        """Where that takes longer: a daemon is to be started, is busy, or has a successor that is on its way."""
        try:
            while result:
                if result == _BUSY:
                    result = await self._loop.run_in_executor(None, self.connect, True)
                if result and result != _BUSY and not self._awaits_successor():
                    self._pause(result, self.message)
                    return
                if result:
                    await asyncio.sleep(_SUCCESSOR_STEP)
                    result = self.connect(False)
            self._attach()
        except Exception as error:
            self._pause(_UNREACHABLE, f"no connection can be made: {error}")
        finally:
            self._seeking = None

    def _attach(self) -> None:
        self._loop.add_reader(self.attach(), self.readable)
        self._off.clear()
        self._retry_at = 0.0
        self._probing = self._silences > 0
        self._want()
        for turn in self._held:
            request = turn.resuming()
            if request is not None:
                self.post(request)

    # ---- what Wire asks of the loop

    def _soon(self) -> None:
        self._loop.call_soon(self.flush)

    def _watch(self) -> None:
        self._timer = self._loop.call_later(self._timeout, self._on_time)

    def _on_time(self) -> None:
        left = self.tick()
        self._timer = None if left is None else self._loop.call_later(left, self._on_time)

    def _write(self, fd: int, more: bool) -> None:
        if more:
            self._loop.add_writer(fd, self.flush)
        else:
            self._loop.remove_writer(fd)

    def _room(self) -> None:
        if self._probing and self.answered:
            self._probing, self._silences = False, 0
            self._want()
        self._tell_line()

    def _met(self, release: int, epoch: int) -> None:
        if release < _RELEASE and epoch != self._renewed:
            self._renewed = epoch
            self._loop.run_in_executor(None, self._renew)

    def _tell_line(self) -> None:
        if self._next is not None and not self._next.done():
            self._next.set_result(None)

    def _ended(self, fd: int, result: int, message: str, leaving: bool, answered: bool) -> None:
        # A forked child has the loop's selector in common with its parent.
        if os.getpid() == self._pid and not self._loop.is_closed():
            self._loop.remove_reader(fd)
            self._loop.remove_writer(fd)
        if leaving or result == _SHUTTING_DOWN:
            if answered or not self._successor_until:
                self._successor_until = self._loop.time() + min(self._timeout, _SUCCESSOR_MAX)
        elif answered:
            self._successor_until = 0.0
        if result not in (_CUT_OFF, _UNREACHABLE) and not (result == _SHUTTING_DOWN and self._awaits_successor()):
            self._pause(result, message)
        self._off.set()
        self._probing = False
        self._want()
        self._tell_line()

    # ---- the end

    def end(self) -> None:
        """Closes the connection; what is outstanding is cut off. A Link is of no use after that."""
        self._forget()
        self.shut()
        if self._timer is not None:
            self._timer.cancel()
        ending, self._till_loop_ends = self._till_loop_ends, None
        if ending is not None and not ending.ag_running:
            next(ending.aclose().__await__(), None)

    def end_soon(self) -> None:
        """The same from any thread; the loop may be over, or another process's."""
        if os.getpid() == self._pid and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.end)


def _till_loop_ends(link: Link) -> AsyncGenerator[None, None] | None:
    """A loop that ends in good order, as under asyncio.run(), closes the generators that were begun in it first."""
    if sys.get_asyncgen_hooks().firstiter is None:
        return None
    generator = _ends(link)
    next(generator.asend(None).__await__(), None)
    return generator


async def _ends(link: Link) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        link.end()
