"""Several servers behind one queue: whoever is free takes the next request.

A server that is lost hands its requests back, and the others finish them. The requests live in an event loop in a
thread of its own, since the caller is not asynchronous and may have a loop of its own (a notebook); what it gives is an
ordinary iterator, and closing it cancels what is in flight.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from typing import Any, Generic, TypeVar

from paced.rollouts.server_http import Server, ServerLost, Transient
from paced.rollouts.server_replies import Unusable
from paced.run.signals import stop_if_requested

MOST_UNREAD = 4096
"""Results that wait for a slow reader before no further request is sent."""
SECONDS_BETWEEN_LOOKS = 0.2
"""How often a wait for results asks whether the process is to stop."""
Job = TypeVar("Job")
Result = TypeVar("Result")


class Outbox(Generic[Result]):
    """What the loop's thread puts and the caller takes."""

    def __init__(self) -> None:
        self._results: queue.SimpleQueue[Result | BaseException | None] = queue.SimpleQueue()

    def put(self, result: Result) -> None:
        """Hand one result over."""
        self._results.put(result)

    def end(self, error: BaseException | None) -> None:
        """Nothing comes any more; the error is raised where the results are read."""
        self._results.put(error)

    def full(self) -> bool:
        """Whether the reader is far behind."""
        return self._results.qsize() >= MOST_UNREAD

    def read(self) -> Iterator[Result]:
        """The results as they come, up to the end.

        Raises:
            StopRequested: a signal came while nothing did.
        """
        while True:
            try:
                result = self._results.get(timeout=SECONDS_BETWEEN_LOOKS)
            except queue.Empty:
                stop_if_requested()
                continue
            if isinstance(result, BaseException):
                raise result
            if result is None:
                return
            yield result


def in_a_loop(work: Callable[[Outbox[Result]], Coroutine[Any, Any, None]]) -> Iterator[Result]:
    """What ``work`` puts into its outbox, run by an event loop in another thread; cancelled when the reader leaves.

    Example:
        >>> async def count(outbox):
        ...     for number in range(3):
        ...         outbox.put(number)
        >>> list(in_a_loop(count))
        [0, 1, 2]
    """
    outbox: Outbox[Result] = Outbox()
    loop = asyncio.new_event_loop()
    task = loop.create_task(work(outbox))

    def run() -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(_until_done(task))
            outbox.end(None if task.cancelled() else task.exception())
        except BaseException as error:  # of the loop itself: the reader must not wait for ever
            outbox.end(error)

    thread = threading.Thread(target=run, name="paced-server", daemon=True)
    thread.start()
    try:
        yield from outbox.read()
    finally:
        with contextlib.suppress(RuntimeError):  # the loop has ended and is closed
            loop.call_soon_threadsafe(task.cancel)
        thread.join()


async def _until_done(task: asyncio.Task[None]) -> None:
    await asyncio.wait([task])


async def share(
    servers: Sequence[Server],
    jobs: Iterator[Job],
    ask: Callable[[Server, Job], Awaitable[Result]],
    *,
    concurrency: int,
    outbox: Outbox[tuple[Job, Result | Unusable]],
    lost: dict[str, str],
) -> None:
    """Ask ``servers`` for all ``jobs`` and put each with its result, or with the reason why it has none.

    Args:
        servers: at least one; each gets ``concurrency`` requests at a time.
        jobs: taken as servers get free.
        ask: sends one job to one server; its attempts are its own.
        concurrency: requests in flight at one server.
        outbox: where results go.
        lost: URL -> reason, filled in for servers that are of no use any more. When all are, the jobs that are left
            are put nowhere.
    """
    pool = _Pool(servers, jobs, ask, concurrency=concurrency)
    try:
        while await pool.start_more(outbox.full):
            server, job, outcome = await pool.next_done()
            if isinstance(outcome, ServerLost):
                lost.setdefault(server.url, str(outcome))
                pool.leave_out(server, job)
            elif outcome is None:  # cancelled with its server
                pool.hand_back(job)
            elif isinstance(outcome, Exception) and not isinstance(outcome, Unusable):
                raise outcome
            else:
                outbox.put((job, outcome))
                pool.free(server)
    finally:
        await pool.cancel_all()


class _Pool(Generic[Job, Result]):
    """Which server is free, which requests run, and which were handed back."""

    def __init__(
        self,
        servers: Sequence[Server],
        jobs: Iterator[Job],
        ask: Callable[[Server, Job], Awaitable[Result]],
        *,
        concurrency: int,
    ) -> None:
        self.jobs, self.ask = jobs, ask
        self.idle = deque(server for _ in range(concurrency) for server in servers)
        self.handed_back: deque[Job] = deque()
        self.running: dict[asyncio.Task[Result], tuple[Server, Job]] = {}
        self.done: asyncio.Queue[asyncio.Task[Result]] = asyncio.Queue()
        self.gone: set[Server] = set()

    async def start_more(self, reader_is_behind: Callable[[], bool]) -> bool:
        """Give free servers the next jobs; False when nothing runs any more."""
        while self.idle:
            while reader_is_behind():
                await asyncio.sleep(0.01)
            job = self.handed_back.popleft() if self.handed_back else next(self.jobs, None)
            if job is None:
                break
            server = self.idle.popleft()
            task = asyncio.create_task(_ask(server, job, self.ask))
            self.running[task] = (server, job)
            task.add_done_callback(self.done.put_nowait)
        return bool(self.running)

    async def next_done(self) -> tuple[Server, Job, Result | Exception | None]:
        """A server, its job and the result, the failure, or None for a job that was cancelled."""
        task = await self.done.get()
        server, job = self.running.pop(task)
        if task.cancelled():
            return server, job, None
        error = task.exception()
        if error is not None and not isinstance(error, Exception):
            raise error
        return server, job, task.result() if error is None else error

    def free(self, server: Server) -> None:
        """It can take another job, unless it is lost."""
        if server not in self.gone:
            self.idle.append(server)

    def hand_back(self, job: Job) -> None:
        """Another server is to do it."""
        self.handed_back.append(job)

    def leave_out(self, server: Server, job: Job) -> None:
        """Give this server nothing any more; what it was doing is handed back."""
        self.gone.add(server)
        self.idle = deque(other for other in self.idle if other is not server)
        self.hand_back(job)
        for task, (owner, _) in self.running.items():
            if owner is server:
                task.cancel()

    async def cancel_all(self) -> None:
        for task in self.running:
            task.cancel()
        await asyncio.gather(*self.running, return_exceptions=True)


async def _ask(server: Server, job: Job, ask: Callable[[Server, Job], Awaitable[Result]]) -> Result:
    """The result; a failure that did not pass is the server's when it answers nothing else either."""
    try:
        return await ask(server, job)
    except Transient as error:
        if await server.alive():
            raise Unusable(f"{error}, {server.patience.attempts} times") from error
        raise ServerLost(str(error)) from error
