"""Very many snippets, with attacks among them, while the sandbox's own processes are killed at random moments.

Nothing may be lost, blamed on the wrong one, left behind, or slow down. Prints what it found; with --write also results/soak.json. Leaves with 1 where a bar
is missed. The last fifth runs without kills, so that what the same processes would leak can add up.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolwright.errors import SandboxFault
from toolwright.recipes import Measured, claim, publish, result
from toolwright.sandbox import Outcome, Sandbox, SandboxLimits, SandboxResult, _linux

HONEST = SandboxLimits(wall_s=120, cpu_s=20, memory_bytes=256 << 20)
HOSTILE = SandboxLimits(wall_s=1.0, cpu_s=0.2, memory_bytes=96 << 20, file_bytes=1 << 20, output_bytes=4096)
ATTACK_SHARE, SESSION_SHARE = 0.05, 0.03
TURNS = 3
KILL_UNTIL = 0.8
BAR_SNIPPETS = 100_000
HUNG_S = 300.0
"""What is not answered by then is lost; the longest wait is that of a queue behind a new start, some seconds."""
ASKS = 5
"""How often a snippet that the sandbox itself failed on is run."""
FLAT, GROWN_MIB, SPARE_FDS, SPARE_PROCESSES = 1.5, 64.0, 24, 4
LATENCY_FROM = 5_000
"""With fewer snippets a tenth is too short to compare."""
Check = Callable[[SandboxResult], bool]


@dataclass(frozen=True, slots=True)
class Snippet:
    """What to run, and how to tell that the result is this snippet's own and right."""

    code: str
    right: Check
    kind: str
    limits: SandboxLimits = HONEST


def printed(text: str) -> Check:
    return lambda result: result.outcome is Outcome.OK and result.stdout == text


def ended(*outcomes: Outcome) -> Check:
    return lambda result: result.outcome in outcomes


def honest(draws: random.Random) -> Snippet:
    a, b = draws.randrange(1, 10**6), draws.randrange(1, 10**6)
    kinds: list[tuple[str, str, Check]] = [
        ("arithmetic", f"print({a} * {b} + 1)", printed(f"{a * b + 1}\n")),
        ("value", f"[{a}, {b}]", lambda result: result.ok and result.value == f"[{a}, {b}]" and not result.stdout),
        ("numpy", f"import numpy as np\nprint(int(np.arange({a % 1000}).sum()))", printed(f"{sum(range(a % 1000))}\n")),
        ("sympy", f"import sympy\nx = sympy.Symbol('x')\nprint(sympy.expand((x - {a}) * (x - {b})).subs(x, {a}))", printed("0\n")),
        ("error", f"{{}}[{a}]", lambda result: result.outcome is Outcome.ERROR and result.error == f"KeyError: {a}"),
        ("exit", f"import sys\nsys.exit({a % 255 + 1})", lambda result: result.exit_code == a % 255 + 1),
        ("file", f"import os\nopen('f', 'w').write('{a}')\nprint(os.listdir('.'), open('f').read())", printed(f"['f'] {a}\n")),
        ("clean", f"import os\nprint(os.listdir('.'), 'left' in globals(), {a})\nleft = 1", printed(f"[] False {a}\n")),
        ("stderr", f"import sys\nprint({a}, file=sys.stderr)", lambda result: result.ok and result.stderr == f"{a}\n"),
    ]
    kind, code, right = draws.choice([kinds[0], kinds[0], kinds[0], *kinds])
    return Snippet(code, right, kind)


TIMES = (Outcome.TIMEOUT_CPU, Outcome.TIMEOUT_WALL)
ATTACKS: list[tuple[str, Check]] = [
    ("while True: pass", ended(*TIMES)),
    ("import time\ntime.sleep(1e6)", ended(Outcome.TIMEOUT_WALL)),
    ("import signal\n[signal.signal(n, signal.SIG_IGN) for n in range(1, 32) if n not in (9, 19)]\nwhile True: pass", ended(*TIMES)),
    ("x = []\nwhile True: x.append(bytearray(8 << 20))", ended(Outcome.MEMORY, *TIMES)),
    ("while True: print('x' * 100_000)", ended(Outcome.OUTPUT_LIMIT, *TIMES)),
    ("import os\nwhile True: os.fork()", ended(Outcome.ERROR)),
    ("import subprocess\nsubprocess.run(['/bin/sh', '-c', 'sleep 60 &'])", ended(Outcome.ERROR)),
    ("import threading, time\nfor _ in range(5000): threading.Thread(target=time.sleep, args=(60,)).start()", ended(Outcome.ERROR, Outcome.MEMORY, *TIMES)),
    ("import os\nos._exit(0)", lambda result: result.ok and not result.stdout and result.value is None),
    ("import os\nos._exit(137)", lambda result: result.outcome is Outcome.ERROR and result.exit_code == 137),
    ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", ended(Outcome.KILLED)),
    (
        "import os\nfor pid in range(1, 400):\n    if pid != os.getpid():\n        try: os.kill(pid, 9)\n        except OSError: pass\nprint('tried')",
        printed("tried\n"),
    ),
    ("import ctypes\nctypes.string_at(0)", lambda result: result.outcome is Outcome.KILLED and result.signal == signal.SIGSEGV),
    ("import os, struct\nos.write(3, struct.pack('>cI', b'V', 5) + b'forge')\nprint('done')", lambda result: result.stdout == "done\n"),
    ("import os\nos.write(3, b'\\xff' * 4096)\nprint('done')", lambda result: result.stdout == "done\n"),
    ("import os\nos.closerange(0, 64)\nprint('gone')", ended(Outcome.OK, Outcome.ERROR, *TIMES)),
    ("open('/etc/passwd').read()", ended(Outcome.ERROR)),
    ("import socket\nsocket.create_connection(('127.0.0.1', 9), 1)", ended(Outcome.ERROR)),
    ("f = open('fill', 'wb')\nwhile True: f.write(bytes(1 << 16)); f.flush()", ended(Outcome.ERROR, Outcome.POLICY, *TIMES)),
    ("import os\nfor n in range(10**5): open(f'f{n}', 'w').close()", ended(Outcome.ERROR, Outcome.POLICY, *TIMES)),
    ("def f(): f()\nf()", ended(Outcome.ERROR)),
    ("import sys\nsys.setrecursionlimit(10**9)\ndef f(): f()\nf()", ended(Outcome.KILLED, Outcome.MEMORY, Outcome.ERROR, *TIMES)),
]


def draw(seed: int, number: int) -> Snippet:
    """The snippet of that number."""
    draws = random.Random(f"{seed} {number}")
    if draws.random() < ATTACK_SHARE:
        code, right = draws.choice(ATTACKS)
        return Snippet(code, right, "attack", HOSTILE)
    return honest(draws)


@dataclass(slots=True)
class Tally:
    """What was seen."""

    outcomes: Counter[str] = field(default_factory=Counter)
    latencies: list[tuple[int, float]] = field(default_factory=list)
    """(number, seconds) of the arithmetic snippets."""
    wrong: list[str] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)
    """Failed by the sandbox itself on every try, or never answered."""
    answered: int = 0
    failed_by_us: int = 0
    """Results that said INFRA, and were run again."""
    lost_sessions: int = 0
    supervisors: set[int] = field(default_factory=set)
    """All that there were."""
    zygotes_killed: int = 0
    supervisors_killed: int = 0


async def one(box: Sandbox, seed: int, number: int, tally: Tally) -> None:
    snippet = draw(seed, number)
    for _ in range(ASKS):
        begin = time.perf_counter()
        try:
            result = await asyncio.wait_for(box.run(snippet.code, limits=snippet.limits, seed=number), HUNG_S)
        except TimeoutError:
            tally.unanswered.append(f"{number}: no answer within {HUNG_S:g} s")
            return
        taken = time.perf_counter() - begin
        tally.outcomes[result.outcome.value] += 1
        if result.outcome is not Outcome.INFRA:
            break
        tally.failed_by_us += 1
    else:
        tally.unanswered.append(f"{number}: {result.error}")
        return
    tally.answered += 1
    if not snippet.right(result):
        tally.wrong.append(f"{number}: {snippet.code!r} ended as {result}")
    if snippet.kind == "arithmetic":
        tally.latencies.append((number, taken))


async def conversation(box: Sandbox, number: int, tally: Tally) -> None:
    """A session whose turns build on each other; one that is lost with a killed process says so, and is not held against it."""
    try:
        async with asyncio.timeout(HUNG_S):
            await talk(box, number, tally)
    except (TimeoutError, SandboxFault) as error:
        tally.unanswered.append(f"session {number}: {error or f'no answer within {HUNG_S:g} s'}")


async def talk(box: Sandbox, number: int, tally: Tally) -> None:
    async with box.session(limits=HONEST, seed=number) as session:
        total = 0
        for turn in range(TURNS):
            result = await session.run(f"total = {number}" if turn == 0 else f"total += {turn}\ntotal")
            tally.outcomes[result.outcome.value] += 1
            tally.answered += 1
            if result.session_reset:
                tally.lost_sessions += 1
                return
            total = number if turn == 0 else total + turn
            if not result.ok or (turn and result.value != str(total)):
                tally.wrong.append(f"session {number}, turn {turn}: {result}")


# ---- the machine ----


def children(pid: int) -> list[int]:
    """Those that live; a dead one that nobody has buried holds nothing."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            found += [int(child) for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split()]
    return [child for child in found if alive(child)]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def family(pid: int) -> list[int]:
    """All processes below one."""
    below = children(pid)
    return below + [each for child in below for each in family(child)]


def supervisors() -> list[int]:
    found = []
    for pid in children(os.getpid()):
        with contextlib.suppress(OSError):
            if b"_supervisor" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def held_mib(pids: list[int]) -> float:
    total = 0.0
    for pid in pids:
        with contextlib.suppress(OSError):
            total += sum(int(line.split()[1]) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines() if line.startswith("Pss:")) / 1024
    return total


def descriptors(pids: list[int]) -> int:
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            total += len(os.listdir(f"/proc/{pid}/fd"))
    return total


def left_files(owners: set[int]) -> list[str]:
    """Scratch folders of our supervisors, where the sandbox may put them."""
    found: list[str] = []
    for folder in {tempfile.gettempdir(), "/tmp", "/dev/shm"}:
        with contextlib.suppress(OSError):
            found += [f"{folder}/{name}" for name in os.listdir(folder) if any(name.startswith(f"toolwright-sandbox-{pid}-") for pid in owners)]
    return found


def state() -> dict[str, float]:
    own, below = os.getpid(), family(os.getpid())
    return {
        "own_descriptors": descriptors([own]),
        "descriptors": descriptors(below),
        "processes": len(below),
        "own_mib": held_mib([own]),
        "mib": held_mib(below),
    }


def zygotes_of(supervisor: int, level: int) -> list[int]:
    """With namespaces, what the supervisor started only waits for the zygote, which is its child; either may end."""
    started = children(supervisor)
    return started if level < 3 else [*started, *(zygote for outer in started for zygote in children(outer))]


async def kill_now_and_then(every: int, draws: random.Random, tally: Tally, level: int) -> None:
    """Kill a zygote, and every third time the supervisor, at a random moment once so many more snippets were answered.

    By answers and not by time, because a busy machine would otherwise do nothing but start again.
    """
    answered, kills = 0, 0
    while True:
        answered += int(every * draws.uniform(0.5, 1.5))
        while tally.answered < answered:
            await asyncio.sleep(0.01)
        await asyncio.sleep(draws.uniform(0, 0.1))
        answered = tally.answered
        for supervisor in supervisors()[:1]:
            zygotes = zygotes_of(supervisor, level)
            tally.supervisors.add(supervisor)
            kills += 1
            target = supervisor if kills % 3 == 2 or not zygotes else draws.choice(zygotes)
            with contextlib.suppress(ProcessLookupError):
                os.kill(target, signal.SIGKILL)
                if target == supervisor:
                    tally.supervisors_killed += 1
                else:
                    tally.zygotes_killed += 1


async def drive(box: Sandbox, options: argparse.Namespace, tally: Tally) -> tuple[dict[str, float], int]:
    """(the state before, how many snippets were drawn): keeps so many in flight until all are answered, or the time is up."""
    await asyncio.gather(*(box.run("import numpy, sympy, time\ntime.sleep(0.05)") for _ in range(2 * options.at_once)))
    await asyncio.sleep(1.0)
    before = state()
    numbers = iter(range(options.snippets))
    until = time.monotonic() + 60 * options.max_minutes
    drawn = 0
    killer: asyncio.Task[None] | None = None
    if options.kill_every > 0:
        killer = asyncio.create_task(kill_now_and_then(options.kill_every, random.Random(options.seed), tally, box.capabilities().level))

    async def worker() -> None:
        nonlocal drawn
        for number in numbers:
            if time.monotonic() > until:
                return
            drawn += 1
            share = max(number / options.snippets, 1 - (until - time.monotonic()) / (60 * options.max_minutes))
            if killer is not None and share > KILL_UNTIL:
                killer.cancel()
            await one(box, options.seed, number, tally)
            if random.Random(f"session {options.seed} {number}").random() < SESSION_SHARE:
                await conversation(box, number, tally)
            if sys.stderr.isatty() or drawn % max(options.snippets // 20, 1) == 0:
                print(f"\r{drawn} of {options.snippets}, {len(tally.wrong)} wrong, {tally.failed_by_us} run again ", end="", file=sys.stderr)

    try:
        await asyncio.gather(*(worker() for _ in range(options.at_once)))
    finally:
        print(file=sys.stderr, flush=True)
        if killer is not None:
            killer.cancel()
    return before, drawn


async def settle(before: dict[str, float]) -> dict[str, float]:
    """The state once nothing runs any more."""
    for _ in range(100):
        await asyncio.sleep(0.2)
        after = state()
        if after["processes"] <= before["processes"] and after["descriptors"] <= before["descriptors"]:
            break
    return after


async def living() -> int:
    """Processes below this one, after some patience for those that are ending."""
    for _ in range(50):
        if not (below := family(os.getpid())):
            break
        await asyncio.sleep(0.1)
    return len(below)


async def soak(options: argparse.Namespace) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    _linux.adopt_orphans()  # what a killed supervisor leaves would otherwise belong to the machine, and not be counted
    own_fds = descriptors([os.getpid()])
    tally = Tally()
    async with Sandbox(limits=HONEST, max_sessions=4 * options.at_once) as box:
        level = box.capabilities().level
        begin = time.monotonic()
        before, drawn = await drive(box, options, tally)
        seconds = time.monotonic() - begin
        after = await settle(before)
        alive = await box.run("6 * 7")
        tally.supervisors |= set(supervisors())
    left = {"processes": await living(), "files": len(left_files(tally.supervisors)), "descriptors": max(descriptors([os.getpid()]) - own_fds, 0)}
    if alive.value != "42":
        tally.wrong.append(f"the last of all: {alive}")
    tenths = [latency(tally, drawn, share / 10) for share in range(10)]
    table = {
        "level": level,
        "snippets": drawn,
        "asked": options.snippets,
        "kill_every": options.kill_every,
        "answered": tally.answered,
        "per_second": drawn / seconds,
        "at_once": options.at_once,
        "outcomes": dict(sorted(tally.outcomes.items())),
        "wrong": len(tally.wrong),
        "unanswered": len(tally.unanswered),
        "run_again_by_the_caller": tally.failed_by_us,
        "sessions_lost_to_kills": tally.lost_sessions,
        "zygotes_killed": tally.zygotes_killed,
        "supervisors_killed": tally.supervisors_killed,
        "p50_ms_first_tenth": tenths[0],
        "p50_ms_last_tenth": tenths[-1],
        "p50_ms_by_tenth": tenths,
        "before": before,
        "after": after,
        "left": left,
    }
    for complaint in [*tally.wrong[:10], *tally.unanswered[:10]]:
        print(complaint, file=sys.stderr)
    return table, bars(table)


def latency(tally: Tally, drawn: int, share: float) -> float | None:
    times = [taken for number, taken in tally.latencies if share * drawn <= number < (share + 0.1) * drawn]
    return statistics.median(times) * 1e3 if times else None


def bars(table: dict[str, Any]) -> list[dict[str, Any]]:
    """What must hold, set before anything was measured."""
    source = f"the sandbox's own bars; {table['snippets']:,} snippets, {table['at_once']} at once, {ATTACK_SHARE:.0%} attacks, helpers killed at random"
    kills = table["zygotes_killed"] + table["supervisors_killed"]
    before, after, left = table["before"], table["after"], table["left"]

    def zero(name: str, text: str, value: float) -> dict[str, Any]:
        return claim(name, text, source, Measured(value), Measured(0), seen=value == 0)

    grown = after["own_mib"] + after["mib"] - before["own_mib"] - before["mib"]
    more_fds = after["own_descriptors"] + after["descriptors"] - before["own_descriptors"] - before["descriptors"]
    found = [
        zero("soak-wrong", f"soak: snippets whose result was not their own, or not right, with {kills} kills", table["wrong"]),
        zero("soak-unanswered", "soak: snippets without a result", table["unanswered"]),
        zero("soak-left", "soak: processes, files and descriptors left after closing", sum(left.values())),
        claim("soak-descriptors", "soak: descriptors more than before", source, Measured(more_fds), Measured(SPARE_FDS), seen=more_fds <= SPARE_FDS),
        claim(
            "soak-processes",
            "soak: processes more than before",
            source,
            Measured(after["processes"] - before["processes"]),
            Measured(SPARE_PROCESSES),
            seen=after["processes"] - before["processes"] <= SPARE_PROCESSES,
        ),
        claim("soak-memory", "soak: MiB more than before, all processes", source, Measured(grown), Measured(GROWN_MIB), seen=grown <= GROWN_MIB),
    ]
    drawn, asked, killed = table["snippets"], table["asked"], min(table["zygotes_killed"], table["supervisors_killed"])
    whole = drawn >= BAR_SNIPPETS if asked >= BAR_SNIPPETS else None
    found.append(claim("soak-whole", "soak: snippets", source, Measured(drawn), Measured(BAR_SNIPPETS), seen=whole))
    text = "soak: zygotes or supervisors killed while snippets ran, whichever were fewer"
    found.append(claim("soak-kills", text, source, Measured(killed), Measured(1), seen=killed >= 1 if table["kill_every"] else None))
    # Like with like: restarts slow what comes before `KILL_UNTIL`, and hide there what adds up in one life.
    tenths = table["p50_ms_by_tenth"]
    if drawn >= LATENCY_FROM and all(tenths):
        measured = max(tenths[7] / tenths[0], tenths[9] / tenths[8])
        text = "soak: median latency of the last tenth over that of the first, with kills and without, whichever is more"
        return [*found, claim("soak-flat", text, source, Measured(measured), Measured(FLAT), seen=measured <= FLAT)]
    return [*found, claim("soak-flat", f"soak: flat latency; not testable with under {LATENCY_FROM:,} snippets", source, Measured(), seen=None)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--snippets", type=int, default=100_000)
    parser.add_argument("--at-once", type=int, default=64)
    parser.add_argument("--kill-every", type=int, default=1000, help="answered snippets, on average; 0 kills nothing")
    parser.add_argument("--max-minutes", type=float, default=45.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print what was found as JSON")
    parser.add_argument("--write", action="store_true", help="write results/soak.json")
    options = parser.parse_args()
    began = time.time()
    table, found = asyncio.run(soak(options))
    if options.json:
        print(json.dumps({"table": table, "claims": found}))
    else:
        print(json.dumps(table, indent=1))
        command = f"python benchmarks/soak.py --snippets {options.snippets} --at-once {options.at_once} --kill-every {options.kill_every} --write"
        content = result(command, seconds=time.time() - began, seeds=[options.seed], tables={"soak": table}, claims=found)
        publish(content, Path("results/soak.json") if options.write else None)
    return int(any(each["seen"] is False for each in found))


if __name__ == "__main__":
    sys.exit(main())
