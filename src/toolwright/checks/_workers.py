"""Killable processes that answer questions one at a time, started when first needed.

Symbolic mathematics cannot be interrupted from inside: a hung comparison is ended by killing its process. Processes are exec'ed (never forked from a program
with threads), isolated from the environment's Python settings, in a session of their own (Ctrl-C is ours to handle), and end by themselves when our end of
their standard input closes, so that not even ``kill -9`` leaves one behind for longer than a deadline.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
import time
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any

from toolwright.checks._symbolic import PATIENCE
from toolwright.errors import UsageError, VerifierFault

_START_S = 300.0
"""What loading the libraries may take on a busy machine; no question's deadline runs during it."""
_RUN = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from toolwright.checks._symbolic import serve; serve(float(sys.argv[2]))"


class Worker:
    """One process and the pipes to it."""

    def __init__(self, deadline_s: float) -> None:
        root = str(Path(__file__).parents[2])
        paths = [root, *(path for path in sys.path if path and path != root and Path(path).is_absolute())]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", _RUN, json.dumps(paths), str(deadline_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**environment, "OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )
        self._pending = b""
        try:
            if self._line(_START_S) != b"ready":
                raise VerifierFault(f"a comparison worker did not start (exit status {self._process.poll()}); is math-verify installed?")
        except BaseException:  # also when interrupted: no process may be left; raised again
            self.kill()
            raise

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def ask(self, question: dict[str, str], deadline_s: float) -> dict[str, Any] | None:
        """The reply; None where the process died or the deadline passed, after which the worker must be killed."""
        pipe = self._process.stdin
        if pipe is None:
            return None
        try:
            pipe.write(json.dumps(question).encode() + b"\n")
            pipe.flush()
        except OSError:
            return None
        line = self._line(deadline_s)
        return None if line is None else json.loads(line)

    def kill(self) -> None:
        """End the process and reap it; safe to call twice."""
        self.end()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):  # what was still buffered for a dead process
                    pipe.close()

    def end(self) -> None:
        """End the process and leave the pipes to the thread that waits on them."""
        self._process.kill()
        self._process.wait()

    def forget(self) -> None:
        """Let go of a process that belongs to the program this one was forked from."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                os.close(pipe.fileno())
        self._process.returncode = 0  # not ours to wait for

    def _line(self, timeout_s: float) -> bytes | None:
        pipe = self._process.stdout
        if pipe is None:
            return None
        poll = select.poll()
        poll.register(pipe.fileno(), select.POLLIN | select.POLLHUP)
        end = time.monotonic() + timeout_s
        while b"\n" not in self._pending:
            left_s = end - time.monotonic()
            if left_s <= 0 or not poll.poll(left_s * 1000):
                return None
            chunk = os.read(pipe.fileno(), 65536)
            if not chunk:
                return None
            self._pending += chunk
        line, _, self._pending = self._pending.partition(b"\n")
        return line


class Workers:
    """A few workers shared by all threads."""

    def __init__(self, *, count: int, deadline_s: float) -> None:
        if count < 1 or not deadline_s > 0:
            raise UsageError(f"{count} workers with {deadline_s} s each; both must be above 0")
        self._count = count
        self._deadline_s = deadline_s
        self._reset()
        self.asked = 0
        """How many questions reached a worker."""
        self.killed = 0
        """How many of them ended with the worker's death."""
        _pools.add(self)

    def _reset(self) -> None:
        self._changed = threading.Condition()
        self._idle: list[Worker] = []
        self._busy: set[Worker] = set()
        self._open = 0
        self._is_closed = False

    def ask(self, question: dict[str, str]) -> Any:
        """The verdict on a question; None where the worker had none, died, or was too slow.

        Raises: VerifierFault where no worker starts; UsageError after `close`.
        """
        worker = self._take()
        reply: dict[str, Any] | None = None
        try:
            reply = worker.ask(question, PATIENCE * self._deadline_s)
        finally:
            self._give_back(worker, is_usable=reply is not None)
        return None if reply is None else reply["verdict"]

    def close(self) -> None:
        """End all workers, those in use as well; safe to call twice."""
        with self._changed:
            self._is_closed = True
            idle, busy = self._idle, list(self._busy)
            self._idle = []
            self._open = 0
            self._changed.notify_all()
        for worker in idle:
            worker.kill()
        for worker in busy:
            worker.end()

    def pids(self) -> list[int]:
        """The process ids of the workers alive."""
        with self._changed:
            return [worker.pid for worker in (*self._idle, *self._busy)]

    def _take(self) -> Worker:
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or self._idle or self._open < self._count)
            if self._is_closed:
                raise UsageError("this Equivalence is closed; make a new one")
            self.asked += 1
            if self._idle:
                worker = self._idle.pop()
                self._busy.add(worker)
                return worker
            self._open += 1
        try:
            worker = Worker(self._deadline_s)
        except BaseException:  # also when interrupted: the place must not be lost; raised again
            with self._changed:
                self._open -= 1
                self._changed.notify()
            raise
        with self._changed:
            self._busy.add(worker)
        return worker

    def _give_back(self, worker: Worker, *, is_usable: bool) -> None:
        with self._changed:
            self._busy.discard(worker)
            keep = is_usable and not self._is_closed
            if keep:
                self._idle.append(worker)
            elif not self._is_closed:
                self._open -= 1
                self.killed += 1
            self._changed.notify()
        if not keep:
            worker.kill()

    def _after_fork(self) -> None:
        """In a forked child: the workers are the parent's, and the lock may be held by a thread that is not here."""
        for worker in (*self._idle, *self._busy):
            worker.forget()
        self._reset()


_pools: weakref.WeakSet[Workers] = weakref.WeakSet()


def _forget_parents_workers() -> None:
    for pool in list(_pools):
        pool._after_fork()


os.register_at_fork(after_in_child=_forget_parents_workers)
