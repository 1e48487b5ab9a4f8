"""Fault dials: what each does, that it is on record, and that seed and request alone decide."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from toolwright.errors import UsageError
from toolwright.sandbox import (
    BackendSession,
    FaultySandbox,
    InjectedFault,
    Layer,
    Outcome,
    Sandbox,
    SandboxBackend,
    SandboxCapabilities,
    SandboxFaults,
    SandboxLimits,
    SandboxResult,
)


class EchoBackend:
    """Answers at once with what it was asked, so that many requests cost nothing."""

    limits = SandboxLimits()
    digest = "echo"

    def __init__(self, delay_s: float = 0.0) -> None:
        self.delay_s = delay_s
        self.gone = 0

    async def run(self, code: str, *, limits: SandboxLimits | None = None, seed: int = 0) -> SandboxResult:
        await asyncio.sleep(self.delay_s)
        return SandboxResult(Outcome.OK, stdout=f"{code}\n", stderr="warned", value=f"value of {code}", exit_code=0, wall_s=0.5, level=3)

    @asynccontextmanager
    async def session(self, *, limits: SandboxLimits | None = None, seed: int = 0) -> AsyncIterator[BackendSession]:
        yield self

    def capabilities(self) -> SandboxCapabilities:
        return SandboxCapabilities(3, (Layer("echo", True, "says what it hears"),))

    async def aclose(self) -> None:
        self.gone += 1


def ask(faulty: FaultySandbox, codes: list[str]) -> list[SandboxResult]:
    async def all_of_them() -> list[SandboxResult]:
        return list(await asyncio.gather(*(faulty.run(code) for code in codes)))

    return asyncio.run(all_of_them())


NUMBERS = [f"the answer is {n}, not 1.5e3" for n in range(400)]


def test_it_is_a_back_end_itself() -> None:
    inner = EchoBackend()
    faulty = FaultySandbox(inner, lying=0.1)
    assert isinstance(faulty, SandboxBackend)
    assert faulty.limits is inner.limits and faulty.capabilities() == inner.capabilities()
    asyncio.run(faulty.aclose())
    assert inner.gone == 1


def test_no_dial_changes_nothing() -> None:
    for result in ask(FaultySandbox(EchoBackend()), NUMBERS[:50]):
        assert result.fault is None
        assert result.stdout.startswith("the answer is")


def test_lying_changes_one_number_of_about_the_share_given() -> None:
    results = ask(FaultySandbox(EchoBackend(), lying=0.25, seed=3), NUMBERS)
    lies = [(code, result) for code, result in zip(NUMBERS, results, strict=True) if result.fault]
    assert 70 <= len(lies) <= 130
    for code, result in lies:
        assert result.fault == InjectedFault("lying", f"{code}\n", f"value of {code}")
        assert result.outcome is Outcome.OK and result.value == f"value of {code}"
        true, told = (re.findall(r"\d+", text) for text in (f"{code}\n", result.stdout))
        assert len(true) == len(told) and sum(a != b for a, b in zip(true, told, strict=True)) == 1
        assert [len(number) for number in true] == [len(number) for number in told]
        assert result.stdout.endswith("not 1.5e3\n"), "1.5e3 is no number that stands for itself"
    assert all(result.stdout == f"{code}\n" for code, result in zip(NUMBERS, results, strict=True) if not result.fault)


def test_lying_falls_on_the_value_where_nothing_numeric_was_printed_and_spares_what_has_no_number() -> None:
    class Quiet(EchoBackend):
        async def run(self, code: str, *, limits: SandboxLimits | None = None, seed: int = 0) -> SandboxResult:
            return SandboxResult(Outcome.OK, stdout="done\n", value=code)

    number, word = ask(FaultySandbox(Quiet(), lying=1), ["-12.5", "x2"])
    assert number.stdout == "done\n" and number.value != "-12.5" and re.fullmatch(r"-\d\d\.\d", str(number.value))
    assert number.fault == InjectedFault("lying", "done\n", "-12.5")
    assert (word.value, word.fault) == ("x2", None)


def test_a_lie_about_truth_is_its_opposite_where_no_number_was_printed() -> None:
    class Says(EchoBackend):
        async def run(self, code: str, *, limits: SandboxLimits | None = None, seed: int = 0) -> SandboxResult:
            return SandboxResult(Outcome.OK, stdout=code)

    true, false, both = ask(FaultySandbox(Says(), lying=1), ["True\n", "False\n", "True 7\n"])
    assert (true.stdout, false.stdout) == ("False\n", "True\n")
    assert true.fault == InjectedFault("lying", "True\n", None)
    assert both.stdout.startswith("True ") and both.stdout != "True 7\n", "a number is the first to be lied about"


def test_seed_and_request_alone_decide() -> None:
    dials = SandboxFaults(lying=0.2, empty=0.1, lost=0.1)
    first, again = (ask(FaultySandbox(EchoBackend(), dials, seed=5), NUMBERS) for _ in range(2))
    backwards = ask(FaultySandbox(EchoBackend(), dials, seed=5), NUMBERS[::-1])[::-1]
    assert first == again == backwards
    other = ask(FaultySandbox(EchoBackend(), dials, seed=6), NUMBERS)
    assert [result.fault is None for result in other] != [result.fault is None for result in first]
    one = FaultySandbox(EchoBackend(), lying=0.5)
    assert len({asyncio.run(one.run(NUMBERS[0], seed=seed)).stdout for seed in range(20)}) > 1, "the request's seed is part of the request"


def test_more_of_a_fault_keeps_those_it_had() -> None:
    touched = [{n for n, result in enumerate(ask(FaultySandbox(EchoBackend(), lying=share), NUMBERS)) if result.fault} for share in (0.1, 0.3, 1.0)]
    assert touched[0] < touched[1] < touched[2] == set(range(len(NUMBERS)))


def test_empty_lost_and_slow() -> None:
    (empty,) = ask(FaultySandbox(EchoBackend(), empty=1), ["3"])
    assert (empty.outcome, empty.stdout, empty.stderr, empty.value) == (Outcome.OK, "", "", None)
    assert empty.fault == InjectedFault("empty", "3\n", "value of 3")
    (lost,) = ask(FaultySandbox(EchoBackend(), lost=1), ["3"])
    assert (lost.outcome, lost.stdout, lost.fault) == (Outcome.INFRA, "", InjectedFault("lost", "3\n", "value of 3"))
    assert "on purpose" in str(lost.error)
    begin = time.monotonic()
    (slow,) = ask(FaultySandbox(EchoBackend(), slow=1, slow_s=0.2), ["3"])
    assert time.monotonic() - begin >= 0.2
    assert (slow.stdout, slow.wall_s, slow.fault) == ("3\n", 0.7, InjectedFault("slow", "3\n", "value of 3"))


def test_shuffled_results_are_those_of_earlier_requests() -> None:
    codes = [f"request {n}" for n in range(100)]
    for delay_s in (0.0, 0.05):
        results = ask(FaultySandbox(EchoBackend(delay_s), shuffled=1, seed=1), codes)
        assert results[0].fault is None, "there was none before"
        for n, result in enumerate(results[1:], start=1):
            assert result.fault == InjectedFault("shuffled", f"request {n}\n", f"value of request {n}")
            assert int(result.stdout.split()[1]) < n
        assert results == ask(FaultySandbox(EchoBackend(), shuffled=1, seed=1), codes)


def test_a_cancelled_request_holds_nobody_up() -> None:
    async def story() -> None:
        faulty = FaultySandbox(EchoBackend(5.0), shuffled=1)
        given_up = asyncio.create_task(faulty.run("first"))
        await asyncio.sleep(0.01)
        faulty.inner.delay_s = 0.0  # type: ignore[attr-defined]
        waits = asyncio.create_task(faulty.run("second"))
        await asyncio.sleep(0.05)
        assert not waits.done(), "it waits for the first one's texts"
        given_up.cancel()
        result = await asyncio.wait_for(waits, 2)
        assert (result.stdout, result.fault) == ("second\n", None)

    asyncio.run(story())


def test_turns_of_a_session_are_told_apart_by_what_came_before() -> None:
    async def turns(first: str) -> list[bool]:
        async with FaultySandbox(EchoBackend(), lying=0.5).session() as session:
            await session.run(first)
            return [(await session.run("print(1)")).fault is not None for _ in range(40)]

    here, again, there = (asyncio.run(turns(first)) for first in ("x = 1", "x = 1", "x = 2"))
    assert here == again != there
    assert 8 <= sum(here) <= 32


def test_the_digest_names_dials_and_seed() -> None:
    inner = EchoBackend()
    digests = {FaultySandbox(inner, lying=share, seed=seed).digest for share in (0.1, 0.2) for seed in (0, 1)}
    assert len(digests) == 4 and inner.digest not in digests
    assert FaultySandbox(inner, lying=0.1).digest == FaultySandbox(EchoBackend(), SandboxFaults(lying=0.1)).digest


def test_around_the_real_sandbox() -> None:
    async def story() -> None:
        async with FaultySandbox(Sandbox(preload=()), lying=1) as faulty:
            result = await faulty.run("print(6 * 7)")
            assert result.fault == InjectedFault("lying", "42\n") and result.stdout != "42\n"
            async with faulty.session() as session:
                assert (await session.run("x = 41")).fault is None
                result = await session.run("x + 1")
                assert result.fault == InjectedFault("lying", "", "42") and result.value != "42"
                assert (await session.run("print('same' if x == 41 else 'changed')")).stdout == "same\n", "a fault never changes what runs"

    asyncio.run(story())


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("lying=0.05", SandboxFaults(lying=0.05)),
        (" slow = 0.5 , slow_s=2,", SandboxFaults(slow=0.5, slow_s=2)),
        ("", SandboxFaults()),
    ],
)
def test_dials_as_text(text: str, faults: SandboxFaults) -> None:
    assert SandboxFaults.parse(text) == faults


@pytest.mark.parametrize("text", ["lying", "lying=much", "drunk=0.5", "lying=2", "lying=-0.1", "lying=0.6,lost=0.6", "slow_s=-1", "lying=nan"])
def test_bad_dials_are_one_clear_sentence(text: str) -> None:
    with pytest.raises(UsageError, match=r"give (name=share|a number|seconds)|add up to more than 1"):
        SandboxFaults.parse(text)


def test_dials_are_given_in_one_way_only() -> None:
    with pytest.raises(UsageError, match="not both"):
        FaultySandbox(EchoBackend(), SandboxFaults(), lying=0.1)
    with pytest.raises(UsageError, match="'lyin' is no sandbox fault; there are lying"):
        FaultySandbox(EchoBackend(), lyin=0.1)
