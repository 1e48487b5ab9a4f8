"""Distilling a student from the hub: its own candidates, labels written by a teacher model, what does not run left out, one LoRA adapter a role by TRL.

*verify*: the teacher writes checking programs; kept are those that run, print a verdict and pass the same looks that `ToolVCode` takes (and agree with the gold
answer, where `check_gold` asks for it; the paper does not). *judge*: it writes rationales that end in Yes or No. The student is trained on chat messages
without examples, as `ChatPrograms(examples=False)` and `ChatJudge` ask it. Left out: PRM students (the paper's have a head of their own).

Source: T1, arXiv 2504.04718, §4 and the appendix's hyperparameters; target layers, dropout and warm-up are stated nowhere
(here: all linear layers, none, none).
"""

from __future__ import annotations

import ast
import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from toolwright.checks import extract_answer, grade
from toolwright.engines import AdapterShape, load_engine
from toolwright.episodes import Completion, Engine, Episode, Message, Problem, Prompt, SamplingParams, StopReason, derive_seed, write_jsonl, write_text
from toolwright.errors import MissingExtra, UsageError
from toolwright.rollouts import Rollout
from toolwright.sandbox import Sandbox
from toolwright.tasks import load, task_names
from toolwright.verifiers import ChatJudge, ChatPrograms, extract_program, printed_verdict, runnable, verdict_said, why_no_check, why_not_worked_out

IN_FLIGHT = 32


async def teach(
    student: Engine, teacher: Engine, problems: Sequence[Problem], role: str, settings: dict[str, Any], *, report: Callable[[str], None] = lambda line: None
) -> list[dict[str, Any]]:
    """Training rows ``{"prompt", "completion"}`` of chat messages for a role; the settings are those under ``[hub]`` of `roles.toml`."""
    how = settings["candidates"]
    params = SamplingParams(max_new_tokens=how["max_new_tokens"], temperature=how["temperature"])
    episodes = await Rollout(student, params=params).run([p.asked() for p in problems], how["samples"], run_seed=how["seed"])
    by_id = {problem.id: problem for problem in problems}
    usable = {(e.problem_id, e.model_text): e for e in episodes if e.stop is StopReason.FINISHED and extract_answer(e.model_text)}
    report(f"{len(episodes)} candidates of the student, {len(usable)} distinct with an answer")
    gate = asyncio.Semaphore(IN_FLIGHT)
    made = 0
    with Sandbox(allow_degraded=True) as sandbox:

        async def one(episode: Episode) -> list[dict[str, Any]]:
            nonlocal made
            async with gate:
                replies, kept = await _taught(teacher, sandbox, by_id[episode.problem_id], episode, role, settings["teacher"], how["seed"])
            made += replies
            return kept

        rows = [row for found in await asyncio.gather(*map(one, usable.values())) for row in found]
    report(f"{made} replies of the teacher, {len(rows)} kept")
    return rows


def distill_from_teacher(
    student: str,
    roles: Sequence[str],
    folder: Path,
    settings: dict[str, Any],
    *,
    teacher: str | None,
    teacher_url: str | None,
    task: str,
    problems: int | None = None,
    report: Callable[[str], None] = print,
) -> dict[str, dict[str, Any]]:
    """Rows, configuration and adapter of each role in `folder`; rows that lie there are used again.

    Raises: UsageError for an unknown role, a missing teacher or a task whose training split is not there; MissingExtra without TRL (the rows are
    written first).
    """
    if unknown := [role for role in roles if role not in settings["train"]]:
        raise UsageError(f"no role {unknown[0]!r}; there are {', '.join(settings['train'])}")
    facts = {}
    for role in roles:
        rows = folder / f"{role}.jsonl"
        if not rows.is_file():
            if teacher is None and teacher_url is None:
                raise UsageError(f"{student} needs a teacher; give --teacher-url of an OpenAI-compatible server and --teacher, the model's name on it")
            # A user's file has no splits; of a benchmark only the training half may teach.
            split = "train" if task.partition(":")[0] in task_names() else "test"
            taught = load(task, split=split, limit=problems or settings["candidates"]["problems"], seed=0)
            report(f"{role}: {len(taught.problems)} problems of {taught.name}")
            asyncio.run(_write_rows(student, teacher, teacher_url, taught.problems, role, settings, rows, report))
        how = settings["train"][role]
        write_text(
            folder / f"{role}.json", json.dumps({"student": student, "role": role, "teacher": teacher, "task": task, **settings, "train": how}, indent=1) + "\n"
        )
        facts[role] = train(student, rows, how, folder / role, seed=settings["candidates"]["seed"])
        report(f"{role}: {facts[role]}")
    return facts


def train(student: str, rows: Path, how: dict[str, Any], target: Path, *, seed: int) -> dict[str, Any]:
    """Fine-tune an adapter on the rows by TRL's SFTTrainer and write it to `target`; returns its facts. Raises: MissingExtra without TRL."""
    try:
        import torch
        from datasets import load_dataset
        from peft import LoraConfig
        from trl import SFTConfig, SFTTrainer
    except ImportError as error:
        raise MissingExtra("distill", "training a student with TRL") from error
    data = load_dataset("json", data_files=str(rows), split="train")
    on_gpu = torch.cuda.is_available()
    trainer = SFTTrainer(
        model=student,
        args=SFTConfig(
            output_dir=str(target / "trainer"),
            model_init_kwargs={"dtype": "bfloat16" if on_gpu and torch.cuda.is_bf16_supported() else "float32"},
            learning_rate=how["learning_rate"],
            num_train_epochs=how["epochs"],
            per_device_train_batch_size=1,
            gradient_accumulation_steps=how["batch"],
            max_length=how["max_length"],
            lr_scheduler_type="linear",
            optim="adamw_torch",
            completion_only_loss=True,
            gradient_checkpointing=on_gpu,
            bf16=on_gpu and torch.cuda.is_bf16_supported(),
            use_cpu=not on_gpu,
            save_strategy="epoch",
            logging_steps=10,
            report_to="none",
            seed=seed % 2**31,
        ),
        train_dataset=data,
        # The layers by name, not "all-linear": that is what `HFEngine.with_adapter` reads.
        peft_config=LoraConfig(r=how["rank"], lora_alpha=how["alpha"], target_modules=list(AdapterShape().layers), task_type="CAUSAL_LM"),
    )
    result = trainer.train()
    trainer.save_model(str(target))
    return {"rows": len(data), "loss": round(float(result.training_loss), 4), "seconds": round(float(result.metrics["train_runtime"]))}


async def _write_rows(
    student: str,
    teacher: str | None,
    teacher_url: str | None,
    problems: Sequence[Problem],
    role: str,
    settings: dict[str, Any],
    path: Path,
    report: Callable[[str], None],
) -> None:
    learner, master = load_engine(student), load_engine(teacher, base_url=teacher_url)
    try:
        rows = await teach(learner, master, problems, role, settings, report=report)
    finally:
        await learner.aclose()
        await master.aclose()
    if not rows:
        raise UsageError(f"nothing that the teacher wrote for {role} could be kept; try a stronger teacher")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_jsonl(path, rows)


async def _taught(
    teacher: Engine, sandbox: Sandbox, problem: Problem, episode: Episode, role: str, how: dict[str, Any], seed: int
) -> tuple[int, list[dict[str, Any]]]:
    """(replies, the rows that are kept of them) for one candidate."""
    verify = role == "verify"
    ask: Prompt = (ChatPrograms() if verify else ChatJudge()).ask(problem.asked(), episode.text)
    lesson: Prompt = (ChatPrograms(examples=False) if verify else ChatJudge()).ask(problem.asked(), episode.text)
    params = SamplingParams(max_new_tokens=how["max_new_tokens"], temperature=how["temperature"])
    count = how["programs"] if verify else how["rationales"]
    replies = await teacher.sample(ask, n=count, params=params, seed=derive_seed(seed, "teacher", problem.id, episode.index))
    answer = extract_answer(episode.model_text, choices=problem.choices)
    right = grade(answer, problem.gold, choices=problem.choices) if problem.gold is not None and how["check_gold"] else None
    kept = []
    for reply in replies:
        text = await _program(reply, sandbox, problem, episode, right) if verify else _judgement(reply, right)
        if text is not None:
            kept.append({"prompt": _plain(lesson.messages), "completion": _plain((Message("assistant", text),))})
    return len(replies), kept


async def _program(reply: Completion, sandbox: Sandbox, problem: Problem, episode: Episode, right: bool | None) -> str | None:
    """The reply's program in a fence, where it runs and checks; None where not, or where it contradicts the gold answer."""
    program = extract_program(reply.text)
    answer = None if problem.choices else extract_answer(episode.model_text)
    if program is None or why_no_check(program, answer) is not None:
        return None
    if why_not_worked_out(ast.parse(program), question=problem.question, solution=episode.text) is not None:
        return None
    done = await sandbox.run(runnable(program))
    said = printed_verdict(done.stdout) if done.ok else None
    return f"```python\n{program.strip()}\n```" if said is not None and right in (None, said) else None


def _judgement(reply: Completion, right: bool | None) -> str | None:
    """The reply, where it ends in a verdict that does not contradict the gold answer."""
    said = verdict_said(reply.text, ChatJudge().closing.strip())
    return reply.text.strip() if said is not None and ChatJudge().closing.strip() in reply.text and right in (None, bool(said)) else None


def _plain(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]
