"""The three fates of a failure, and nothing else.

==================  ==========================================================================
``ToolFailure``     told to the model as an observation; the episode goes on
``EpisodeFault``    recorded on the one episode it ended; siblings go on; never scored 0
``UsageError``      raised at once: names the value, what is accepted, and the fix
==================  ==========================================================================

The tree::

    ToolwrightError
    ├── ToolFailure
    ├── EpisodeFault
    │   ├── EngineFault
    │   ├── SandboxFault
    │   ├── VerifierFault
    │   ├── TaskFault
    │   └── NoUsableEpisode
    └── UsageError (also a ValueError)
        └── MissingExtra
"""

from __future__ import annotations

__all__ = [
    "EngineFault",
    "EpisodeFault",
    "MissingExtra",
    "NoUsableEpisode",
    "SandboxFault",
    "TaskFault",
    "ToolFailure",
    "ToolwrightError",
    "UsageError",
    "VerifierFault",
]


class ToolwrightError(Exception):
    """Anything this package raises on purpose."""


class ToolFailure(ToolwrightError):
    """A tool could not do what the model asked; the text goes to the model."""


class EpisodeFault(ToolwrightError):
    """One episode cannot go on for a reason that is not the model's doing."""

    boundary = "episode"
    """The boundary that was crossed: engine, sandbox, verifier, task."""


class EngineFault(EpisodeFault):
    """The engine was lost, refused the request, or answered nonsense."""

    boundary = "engine"


class SandboxFault(EpisodeFault):
    """The sandbox itself failed (its outcome ``infra``), not the snippet in it."""

    boundary = "sandbox"


class VerifierFault(EpisodeFault):
    """A verifier could not be run at all (which is not the same as *could not decide*)."""

    boundary = "verifier"


class TaskFault(EpisodeFault):
    """A problem's own grader or data is broken."""

    boundary = "task"


class NoUsableEpisode(EpisodeFault):
    """Every attempt at a problem ended in a fault, so there is nothing to choose from."""

    boundary = "strategy"


class UsageError(ToolwrightError, ValueError):
    """The caller gave something that cannot be used: the value, what is accepted, the fix."""


class MissingExtra(UsageError):
    """An optional dependency is not installed; the message is its install line."""

    def __init__(self, extra: str, purpose: str) -> None:
        super().__init__(f'{purpose} needs the extra "{extra}": pip install "toolwright[{extra}]"')
        self.extra = extra
