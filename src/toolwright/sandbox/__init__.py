"""The sandbox: runs Python that a model wrote, in processes that can neither see nor change anything but themselves.

One small supervisor process holds the queue and the deadlines; one zygote process has numpy and sympy loaded and forks a locked-down child per snippet or
session. What a child may do is decided by layers (limits, seccomp, Landlock, namespaces) that are tried out at the start; the level reached is on every
result, and less than level 2 is refused unless the caller accepts it.

What it does NOT protect against: faults in the kernel itself; side channels (timing, caches, speculative execution); a snippet slowing its neighbours
within its limits; what a person or a model does after reading a snippet's output (`printable` only guards terminals and token streams); and, below
level 3, learning whether a path exists. For hostile tenants, put the whole process into a virtual machine of its own. See ``docs/security.md``.
"""

from __future__ import annotations

from toolwright.sandbox._backend import BackendSession, SandboxBackend
from toolwright.sandbox._bubblewrap import Bubblewrap
from toolwright.sandbox._client import Sandbox, probe
from toolwright.sandbox._faults import FaultySandbox, SandboxFaults
from toolwright.sandbox._printable import printable
from toolwright.sandbox._session import SandboxSession
from toolwright.sandbox._speed import SandboxSpeed, SnippetSpeed, measure_speed
from toolwright.sandbox._types import InjectedFault, Layer, Outcome, SandboxCapabilities, SandboxLimits, SandboxResult

__all__ = [
    "BackendSession",
    "Bubblewrap",
    "FaultySandbox",
    "InjectedFault",
    "Layer",
    "Outcome",
    "Sandbox",
    "SandboxBackend",
    "SandboxCapabilities",
    "SandboxFaults",
    "SandboxLimits",
    "SandboxResult",
    "SandboxSession",
    "SandboxSpeed",
    "SnippetSpeed",
    "measure_speed",
    "printable",
    "probe",
]
