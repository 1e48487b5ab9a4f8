"""What goes into the sandbox and what comes out, as plain frozen data. Leaves out how any of it is done."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum

from toolwright.errors import UsageError

MIB = 1 << 20


class Outcome(StrEnum):
    """Every way a snippet ends. All but `INFRA` are the snippet's own doing."""

    OK = "ok"
    """It ran to its end, or left with exit code 0."""
    ERROR = "error"
    """An uncaught exception, or an exit code other than 0."""
    TIMEOUT_CPU = "timeout_cpu"
    TIMEOUT_WALL = "timeout_wall"
    MEMORY = "memory"
    """An uncaught MemoryError."""
    OUTPUT_LIMIT = "output_limit"
    """It was killed for writing far more than is kept; a little more than is kept only sets `SandboxResult.truncated`."""
    KILLED = "killed"
    """A signal that was not ours ended it: a crash, or its own doing."""
    POLICY = "policy"
    """It was killed for a system call of a foreign architecture, or, where no kernel limit stops it, for filling its disk or starting threads without end."""
    INFRA = "infra"
    """The sandbox failed, not the snippet; already retried. Never score it."""


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """What one snippet, or one turn of a session, may use."""

    wall_s: float = 10.0
    """Counts from when the snippet starts, not while it waits for its turn; nor, up to three times the limit, while a busy machine has no core for it."""
    cpu_s: float = 5.0
    """All threads together."""
    memory_bytes: int = 512 * MIB
    """Address space beyond what the preloaded interpreter has."""
    output_bytes: int = 64 << 10
    """Kept of each of stdout, stderr and the value; of a longer text, its head and its tail."""
    file_bytes: int = 16 * MIB
    """Largest single file; the whole scratch directory may hold four times as much."""
    threads: int = 64
    """A rough bound: 1,024 more may be let through, as the kernel counts those of neighbours with them. Where it counts none, watching bounds them."""

    def __post_init__(self) -> None:
        _check("wall_s", self.wall_s, 0.01, 86_400)
        _check("cpu_s", self.cpu_s, 0.01, 86_400)
        _check("memory_bytes", self.memory_bytes, 16 * MIB, 1 << 46)
        _check("output_bytes", self.output_bytes, 256, 64 * MIB)
        _check("file_bytes", self.file_bytes, 0, 1 << 40)
        _check("threads", self.threads, 1, 4096)


def _check(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise UsageError(f"{name}={value!r} is out of range; give a value from {low:g} to {high:g}")


@dataclass(frozen=True, slots=True)
class InjectedFault:
    """What an experiment did to a result on purpose; see `FaultySandbox`."""

    kind: str
    """lying, empty, shuffled, slow or lost."""
    stdout: str = ""
    """What stdout was before."""
    value: str | None = None
    """What the value was before."""


@dataclass(frozen=True, slots=True)
class SandboxResult:
    """What happened to one snippet. Every text in it was under the snippet's control; outcome, codes and times were not."""

    outcome: Outcome
    stdout: str = ""
    stderr: str = ""
    value: str | None = None
    """`repr` of the last expression; None where there was none or it was None. What the snippet says about itself, never proof."""
    error: str | None = None
    """One line: the snippet's own exception, or why the sandbox failed."""
    exit_code: int | None = None
    signal: int | None = None
    wall_s: float = 0.0
    cpu_s: float = 0.0
    truncated: bool = False
    """Something was cut to `SandboxLimits.output_bytes`."""
    level: int = 0
    """The isolation it really ran under; see `SandboxCapabilities.level`. Of an `INFRA` result, the one it would have had, as far as known."""
    session_reset: bool = False
    """The session's variables are lost; its next turn starts anew."""
    fault: InjectedFault | None = None
    """Set where an experiment falsified this result."""

    @property
    def ok(self) -> bool:
        """True where the snippet ran to its end."""
        return self.outcome is Outcome.OK


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of the isolation."""

    name: str
    active: bool
    why: str
    """How it is known to work, or why it is missing."""

    @property
    def against(self) -> str:
        """What it protects against; empty for a layer of a back end that this page does not know."""
        return _AGAINST.get(self.name, "")


_AGAINST = {
    "seccomp": "starting programs and processes, opening sockets, signalling and tracing others, and most of the kernel's attack surface",
    "landlock": "reading or writing any file but the installed libraries (read) and the snippet's own scratch directory",
    "namespaces": "seeing or reaching other processes, the network, and shared memory, should another layer fail",
    "root": "learning which files exist on this machine, and filling its disk",
    "user": "acting with the rights of root",
    "limits": "using up memory, processor time, disk, descriptors and threads",
    "processes": "one snippet seeing or reaching another's process, should seccomp and Landlock fail",
    "cgroup": "using more memory or processes than allowed in ways that address space does not show, should another layer fail",
}

LAYERS = tuple(_AGAINST)
ON_DEMAND = ("processes", "cgroup")
"""Of the layers, those that are only there where they were asked for."""


@dataclass(frozen=True, slots=True)
class SandboxCapabilities:
    """The isolation that this machine really gave, found by doing it in a throwaway child.

    Level 4: 3, and a process id namespace or a cgroup for each snippet · 3: Landlock, seccomp, and own namespaces · 2: Landlock and seccomp · 1: seccomp only:
    files are readable, and without a root of its own no file can be written, scratch included · 0: a process with limits, no isolation.
    """

    level: int
    layers: tuple[Layer, ...] = ()
    start_s: float = field(default=0.0, compare=False)
    """How long the preloaded interpreter took to be ready."""

    def layer(self, name: str) -> Layer:
        """The layer of that name."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise UsageError(f"no layer named {name!r}; the layers are {', '.join(each.name for each in self.layers)}")


def limits_to_wire(limits: SandboxLimits) -> dict[str, float]:
    """The limits as JSON takes them."""
    return asdict(limits)
