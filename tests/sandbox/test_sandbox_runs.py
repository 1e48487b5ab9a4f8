"""What a single run gives back: outcomes, texts, limits, seeds, and the refusal of weak isolation."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from toolwright.errors import UsageError
from toolwright.sandbox import Bubblewrap, Outcome, Sandbox, SandboxCapabilities, SandboxLimits, probe

LIMITS = SandboxLimits(wall_s=60.0, cpu_s=4.0, memory_bytes=256 << 20)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(limits=LIMITS) as made:
        yield made


def test_ok_run_tells_everything(sandbox: Sandbox) -> None:
    result = sandbox.run_sync("import sys\nprint('out')\nprint('err', file=sys.stderr)\n6 * 7")
    assert result.ok and result.outcome is Outcome.OK
    assert (result.stdout, result.stderr, result.value, result.error) == ("out\n", "err\n", "42", None)
    assert (result.exit_code, result.signal, result.truncated, result.session_reset) == (0, None, False, False)
    assert 0 < result.cpu_s < 4 and 0 < result.wall_s < 60
    assert result.level == sandbox.capabilities().level >= 2


def test_error_has_one_line_and_the_snippets_own_traceback(sandbox: Sandbox) -> None:
    result = sandbox.run_sync("def f():\n    return 1 / 0\nf()")
    assert (result.outcome, result.error, result.exit_code, result.value) == (Outcome.ERROR, "ZeroDivisionError: division by zero", 1, None)
    assert result.stderr.startswith('Traceback (most recent call last):\n  File "<snippet>", line 3, in <module>\n')
    assert "return 1 / 0" in result.stderr
    assert "toolwright" not in result.stderr


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("3", "3"),
        ("x = 3", None),
        ("None", None),
        ("x = 2; x ** 3", "8"),
        ("'a'", "'a'"),
        ("print(1)", None),
        ("for x in []: x", None),
        ("1;", "1"),
        ("lambda: 0", None),
    ],
)
def test_value_is_the_last_expression(sandbox: Sandbox, code: str, value: str | None) -> None:
    result = sandbox.run_sync(code)
    assert result.ok
    assert result.value == value or (value is None and code == "lambda: 0" and str(result.value).startswith("<function"))


LEAVINGS = (
    "import os; os.utime('.', (123456789, 987654321))",
    "open('f', 'w').write('x')",
    "import os; os.mkdir('d'); os.listdir('.')",
    "import os\nfor _ in range(50):\n open('f', 'w').close(); os.remove('f')",
    "import os; os.listdir('.')",
)


@pytest.mark.parametrize("disable", [(), ("namespaces",)], ids=["level 3", "level 2"])
def test_scratch_tells_nothing_of_the_run_before(disable: tuple[str, ...]) -> None:
    look = "import os\nwhen = os.stat('.')\nfound = os.listdir('.')\nopen('f', 'w').close()\n"
    look += "found, when.st_atime_ns, when.st_mtime_ns, os.stat('f').st_ino if os.getcwd().startswith('/scratch') else 0"
    with Sandbox(preload=(), spares=0, zygotes=1, disable=disable, limits=LIMITS) as made:
        first = made.run_sync(look).value
        assert str(first).startswith("([], 0, 0, ")
        for leave in LEAVINGS:
            made.run_sync(leave)
            assert made.run_sync(look).value == first, leave


def test_limits_of_one_run_do_not_change_the_next(sandbox: Sandbox) -> None:
    tight = sandbox.run_sync("while True: pass", limits=SandboxLimits(cpu_s=0.2, wall_s=60))
    assert tight.outcome is Outcome.TIMEOUT_CPU
    assert 0.2 <= tight.cpu_s < 0.35
    assert sandbox.run_sync("x = bytearray(100 << 20)", limits=SandboxLimits(memory_bytes=64 << 20)).outcome is Outcome.MEMORY
    assert sandbox.run_sync("x = bytearray(100 << 20)").outcome is Outcome.OK


def test_wall_limit_is_kept(sandbox: Sandbox) -> None:
    result = sandbox.run_sync("import time; time.sleep(60)", limits=SandboxLimits(wall_s=0.5))
    assert result.outcome is Outcome.TIMEOUT_WALL
    assert 0.5 <= result.wall_s < 1.0  # within 0.1 s where the machine is not busy
    assert result.cpu_s < 0.2


def test_output_is_kept_head_and_tail(sandbox: Sandbox) -> None:
    limits = SandboxLimits(output_bytes=1000)
    result = sandbox.run_sync("print('ä' * 3000); print('the end')", limits=limits)
    assert result.ok and result.truncated
    assert result.stdout.startswith("ää") and result.stdout.endswith("ä\nthe end\n")
    assert "[... 5009 bytes left out ...]" in result.stdout
    assert "\\x" not in result.stdout
    assert not sandbox.run_sync("print('ä' * 400)", limits=limits).truncated


def test_seed_decides_every_shared_generator(sandbox: Sandbox) -> None:
    code = "import random, numpy as np, sympy.core.random as r\nprint(random.random(), np.random.rand(), r.random(), {'a', 'b', 'c', 'd'})"
    one, same, other = (sandbox.run_sync(code, seed=seed).stdout for seed in (1, 1, 2))
    assert one == same
    assert all(a != b for a, b in zip(one.split()[:3], other.split()[:3], strict=True))


def test_environment_is_not_the_callers(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "x")
    with Sandbox(preload=()) as fresh:
        names = fresh.run_sync("import os; print(*sorted(os.environ))").stdout.split()
    assert "SECRET_TOKEN" not in names
    assert {"HOME", "TMPDIR", "PYTHONHASHSEED"} <= set(names)


def test_lazy_imports_work_in_the_child(sandbox: Sandbox) -> None:
    code = "import sympy.stats, numpy.ma, sqlite3, colorsys, zoneinfo, decimal\nprint(zoneinfo.ZoneInfo('Europe/Paris'), sympy.stats.Die('D', 6).pspace.domain)"
    assert sandbox.run_sync(code).ok


def test_plain_python_says_the_same(sandbox: Sandbox) -> None:
    """A false denial would be a wrong reward."""
    corpus = [
        "from fractions import Fraction as F\nprint(sum(F(1, n) for n in range(1, 20)))",
        "from sympy import *\nx, y = symbols('x y')\nprint(solve([x + y - 3, x - y - 1], [x, y]), latex(integrate(sin(x)**2, x)), factor(x**4 - 1))",
        "import numpy as np\nprint(np.linalg.eigvalsh(np.arange(9).reshape(3, 3) + np.eye(3)).round(6), np.fft.fft([1, 2, 3]).round(3))",
        "import itertools, math, statistics\nprint(list(itertools.permutations('abc'))[:3], math.comb(50, 25), statistics.stdev([1, 2, 4]))",
        "import datetime as d\nprint(d.date(2024, 2, 29) + d.timedelta(365), d.datetime(2020, 1, 1).strftime('%A'))",
        "from decimal import Decimal as D, getcontext\ngetcontext().prec = 50\nprint(D(2).sqrt())",
        "import threading\nout = []\nts = [threading.Thread(target=lambda i=i: out.append(i * i)) for i in range(20)]\n"
        "[t.start() for t in ts]; [t.join() for t in ts]\nprint(sorted(out))",
        "from concurrent.futures import ThreadPoolExecutor as T\nprint(list(T(4).map(lambda x: x + 1, range(5))))",
        "import tempfile, os\nwith tempfile.NamedTemporaryFile('w+') as f:\n f.write('hi'); f.seek(0); print(f.read())\n"
        "with tempfile.TemporaryDirectory() as d: print(os.listdir(d))",
        "from dataclasses import dataclass, field\n@dataclass(order=True)\nclass P:\n x: int = 0\n y: list = field(default_factory=list)\n"
        "print(P(), sorted([P(2), P(1)]))",
        "import asyncio\nasync def f(n):\n await asyncio.sleep(0.001)\n return n\n"
        "async def main(): return await asyncio.gather(*map(f, range(3)))\nprint(asyncio.run(main()))",
        "import json, re, collections, functools, heapq, bisect, random, string\n"
        "random.seed(4)\nprint(json.dumps({'a': [1, None]}), re.findall(r'\\d+', 'a1b22'), random.choices(string.ascii_letters, k=5))",
        "import pickle, copy, enum, typing\nclass C(enum.Enum):\n A = 1\n"
        "print(pickle.loads(pickle.dumps(C.A)), copy.deepcopy({1: [2]}), typing.get_type_hints(lambda: 0))",
        "import shutil, csv, io\nopen('a.csv', 'w').write('x,y\\n1,2\\n')\n"
        "print(list(csv.DictReader(open('a.csv'))))\nshutil.copyfile('a.csv', 'b.csv'); print(open('b.csv').read())",
        "def gen():\n yield from range(3)\nprint(*gen(), sep=', ', end='!\\n')\nprint(f'{3.14159:.2f} {10**20:,} {255:#x}')",
        "import sympy\nprint(sympy.isprime(2**89 - 1), sympy.factorint(2**67 - 1), sympy.nsimplify(0.333333333333, rational=True, tolerance=1e-6))",
        "try:\n [][1]\nexcept IndexError as e: print(type(e).__name__, e)\nimport sys\nsys.exit(0)",
    ]
    for code in corpus:
        plain = subprocess.run(
            [sys.executable, "-I", "-c", code], capture_output=True, text=True, cwd="/", env={"PYTHONHASHSEED": "0", "LANG": "C.UTF-8"}, check=False
        )
        boxed = sandbox.run_sync(code)
        if "open('a.csv'" not in code:  # plain Python may not be able to write where it stands
            assert boxed.stdout == plain.stdout, (code, boxed, plain.stderr)
        assert boxed.ok, (code, boxed)


def test_several_event_loops_and_threads(sandbox: Sandbox) -> None:
    async def squares(count: int) -> list[str | None]:
        results = await asyncio.gather(*(sandbox.run(f"{n} ** 2") for n in range(count)))
        return [result.value for result in results]

    expected = [str(n * n) for n in range(12)]
    assert asyncio.run(squares(12)) == expected
    assert asyncio.run(squares(12)) == expected
    seen: list[list[str | None]] = []
    threads = [threading.Thread(target=lambda: seen.append(asyncio.run(squares(12)))) for _ in range(3)]
    threads += [threading.Thread(target=lambda: seen.append([sandbox.run_sync(f"{n} ** 2").value for n in range(12)]))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [expected] * 4


def test_queueing_does_not_count_as_running_time() -> None:
    async def crowd(sandbox: Sandbox) -> list[float]:
        limits = SandboxLimits(wall_s=20.0)
        results = await asyncio.gather(*(sandbox.run("import time; time.sleep(0.2)", limits=limits) for _ in range(12)))
        assert all(result.ok for result in results), results
        return [result.wall_s for result in results]

    with Sandbox(preload=(), max_running=2) as sandbox:
        sandbox.run_sync("1")
        begin = time.monotonic()
        walls = asyncio.run(crowd(sandbox))
        assert time.monotonic() - begin > 1.1, "more ran at once than allowed"
        assert max(walls) < time.monotonic() - begin - 0.6


def test_no_more_memory_is_promised_than_there_is() -> None:
    async def spans(sandbox: Sandbox, memory_mib: int) -> list[tuple[float, float]]:
        limits = SandboxLimits(wall_s=60, memory_bytes=memory_mib << 20)
        code = "import time\nbegin = time.monotonic()\ntime.sleep(0.15)\nprint(begin, time.monotonic())"
        results = await asyncio.gather(*(sandbox.run(code, limits=limits) for _ in range(4)))
        return sorted((float(begin), float(end)) for begin, end in (result.stdout.split() for result in results))

    with Sandbox(preload=(), spares=0, max_running=4, total_memory_bytes=200 << 20) as sandbox:
        sandbox.run_sync("1")
        large = asyncio.run(spans(sandbox, 128))
        assert all(before[1] <= after[0] for before, after in itertools.pairwise(large)), "one at a time, as two would be promised too much"
        assert len(asyncio.run(spans(sandbox, 1024))) == 4, "one that asks for more than there is runs alone, not never"
        small = asyncio.run(spans(sandbox, 32))
        assert any(before[1] > after[0] for before, after in itertools.pairwise(small)), "there is memory for all four"


def test_more_requests_than_places_all_come_through() -> None:
    async def crowd(sandbox: Sandbox) -> set[str]:
        return {result.stdout for result in await asyncio.gather(*(sandbox.run(f"print({n})") for n in range(200)))}

    with Sandbox(preload=()) as sandbox:
        assert asyncio.run(crowd(sandbox)) == {f"{n}\n" for n in range(200)}


def test_capabilities_name_every_layer(sandbox: Sandbox) -> None:
    reached = sandbox.capabilities()
    assert {layer.name for layer in reached.layers} == {"namespaces", "root", "user", "landlock", "seccomp", "limits", "processes", "cgroup"}
    assert all(layer.why for layer in reached.layers)
    assert reached.layer("limits").active
    assert reached.start_s > 0
    with pytest.raises(UsageError, match="no layer named 'luck'"):
        reached.layer("luck")


def test_probe_gives_the_same_level(sandbox: Sandbox) -> None:
    assert isinstance(probe(), SandboxCapabilities)
    assert probe().level == sandbox.capabilities().level


@pytest.mark.parametrize(
    ("disable", "level", "option"),
    [
        (("landlock",), 1, "allow_degraded=True"),
        (("seccomp",), 0, "allow_unsafe=True"),
        (("seccomp", "landlock", "namespaces", "user"), 0, "allow_unsafe=True"),
    ],
)
def test_weak_isolation_is_refused_unless_accepted(disable: tuple[str, ...], level: int, option: str) -> None:
    with Sandbox(preload=(), disable=disable) as sandbox, pytest.raises(UsageError, match=f"level {level}.*{option}"):
        sandbox.run_sync("1")
    if level == 1:
        with Sandbox(preload=(), disable=disable, allow_degraded=True) as sandbox:
            assert sandbox.run_sync("1").level == 1
    else:
        with Sandbox(preload=(), disable=disable, allow_degraded=True) as sandbox, pytest.raises(UsageError):
            sandbox.run_sync("1")
        with Sandbox(preload=(), disable=disable, allow_unsafe=True) as sandbox:
            for _ in range(2):
                with pytest.warns(RuntimeWarning, match="level 0"):
                    result = sandbox.run_sync("1 + 1")
                assert (result.value, result.level) == ("2", 0)


def test_level_1_opens_no_file_for_writing(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("open")
    for parent in (folder, *list(folder.parents)[:2]):
        parent.chmod(0o777)
    (folder / "old").write_text("old")
    (folder / "old").chmod(0o666)
    tries = ["open('{}/old', 'w')", "open('{}/new', 'x')", "open('{}/old', 'r+')", "os.remove('{}/old')", "os.rename('{}/old', '{}/b')", "os.mkdir('{}/d')"]
    tries += ["os.truncate('{}/old', 0)", "os.symlink('{}/old', '{}/l')", "open('here', 'w')"]
    with Sandbox(preload=(), disable=("landlock", "namespaces"), allow_degraded=True, limits=LIMITS) as sandbox:
        for each in tries:
            assert "PermissionError" in (sandbox.run_sync("import os\n" + each.replace("{}", str(folder))).error or ""), each
        assert sandbox.run_sync(f"open('{folder}/old').read()").value == "'old'", "reading is what level 1 does not stop"
        assert "without Landlock it also refuses" in sandbox.capabilities().layer("seccomp").why
    assert [path.name for path in folder.iterdir()] == ["old"] and (folder / "old").read_text() == "old"
    with Sandbox(preload=(), disable=("landlock",), allow_degraded=True, limits=LIMITS) as sandbox:
        if sandbox.capabilities().layer("root").active:
            assert sandbox.run_sync("open('f', 'w').write('x')").ok, "with a root of its own, only scratch can be written anyway"


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_level_0_leaves_no_daemon_behind() -> None:
    daemon = "import os, time\nif os.fork() == 0:\n os.setsid()\n if os.fork() == 0:\n"
    daemon += "  print(os.getpid(), flush=True)\n  time.sleep(60)\n os._exit(0)\ntime.sleep(0.3)"
    with Sandbox(preload=(), disable=("seccomp", "landlock", "namespaces"), allow_unsafe=True) as sandbox:
        with pytest.warns(RuntimeWarning):
            result = sandbox.run_sync(daemon, limits=SandboxLimits(threads=200))
        pid = int(result.stdout)
        deadline = time.monotonic() + 5
        while running(pid) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not running(pid)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"limits": {"wall_s": 0}}, "wall_s=0 is out of range"),
        ({"limits": {"memory_bytes": 5}}, "memory_bytes=5 is out of range"),
        ({"disable": ("gravity",)}, "gravity.*give some of"),
        ({"max_running": 0}, "max_running=0"),
    ],
)
def test_bad_settings_are_one_clear_sentence(given: dict[str, object], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        limits = given.pop("limits", None)
        Sandbox(limits=SandboxLimits(**limits) if isinstance(limits, dict) else None, **given)  # type: ignore[arg-type]


def test_unknown_preload_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="cannot preload 'no_such_package'"):
        Sandbox(preload=("no_such_package",)).run_sync("1")


def test_importable_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("library")
    (folder / "shapes.py").write_text("SIDES = 4\n")
    for parent in (folder, *list(folder.parents)[:2]):
        parent.chmod(0o755)
    with Sandbox(preload=(), importable=[folder]) as sandbox:
        assert sandbox.run_sync("import shapes; shapes.SIDES").value == "4"
        assert sandbox.run_sync(f"open({str(folder / 'x')!r}, 'w')").outcome is Outcome.ERROR


def test_digest_names_all_that_changes_how_a_snippet_ends() -> None:
    settings = ({}, {"limits": SandboxLimits(cpu_s=1)}, {"preload": ()}, {"disable": ("landlock",)}, {"strict": True})
    digests = [[Sandbox(**each).digest for each in settings] for _ in range(2)]  # type: ignore[arg-type]
    assert digests[0] == digests[1] and len(set(digests[0])) == len(settings)


def test_elsewhere_than_on_linux_it_says_so_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    for make in (Sandbox, Bubblewrap):
        with pytest.raises(UsageError, match=r"^the sandbox needs Linux, and this is darwin; run Toolwright in a Linux container or virtual machine$"):
            make()
    reached = probe()
    assert reached.level == 0 and len(reached.layers) > 5
    assert all(not layer.active and "darwin" in layer.why for layer in reached.layers)
