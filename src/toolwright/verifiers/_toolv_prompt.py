"""What ToolV-code says to a stock model: the rules, two worked examples, and the words for a second try."""

from __future__ import annotations

from toolwright.episodes import Message, Problem

RULES = """\
You check solutions by programming. You are given a question and somebody's solution. Write one Python program, in one fenced block, that works the question \
out on its own and compares its result with the solution's final answer.
- Print True if the final answer is right and False if it is wrong. Print nothing else.
- Start from the numbers in the question, not from the solution's steps; only the final answer is taken from the solution.
- You may import math, cmath and sympy, nothing else.
- Compare with same(a, b), which is given: True where two values are mathematically equal, however they are written.
- Keep fractions, roots and pi exact with sympy (sympy.Rational, sympy.sqrt, sympy.pi); do not round them.
- Write only the program: no explanation before or after it."""

_EXAMPLES = (
    (
        Problem("example-1", "A shop sells pens in boxes of 12. Nadia buys 7 boxes, gives 19 pens to her class and shares the rest equally among 5 friends. "
                "How many pens does each friend get?"),
        "7 boxes hold 7 * 12 = 84 pens. After giving 19 away she has 84 - 19 = 65. Each friend gets 65 / 5 = 13.\nThe answer is 13.",
        "```python\npens = 7 * 12 - 19\nper_friend = pens / 5\nanswer = 13\nprint(pens % 5 == 0 and same(per_friend, answer))\n```",
    ),
    (
        Problem("example-2", "A jug holds 3/4 of a litre. Omar pours out 2/5 of what is in it. How many litres are left?"),
        "He pours out 2/5, so 3/4 - 2/5 = 15/20 - 8/20 = 7/20 of a litre is left.\nThe answer is 7/20.",
        "```python\nfrom sympy import Rational\n\nfull = Rational(3, 4)\nleft = full - full * Rational(2, 5)\n"
        "answer = Rational(7, 20)\nprint(same(left, answer))\n```",
    ),
)  # fmt: skip


def first_messages(problem: Problem, solution: str, *, examples: bool = True) -> tuple[Message, ...]:
    """The messages that ask for a checking program; a model that was taught the role needs no examples."""
    if not examples:
        return (Message("system", RULES), _ask(problem, solution))
    shown = tuple(message for example, worked, program in _EXAMPLES for message in (_ask(example, worked), Message("assistant", program)))
    return (Message("system", RULES), *shown, _ask(problem, solution))


def repair_messages(messages: tuple[Message, ...], reply: str, trouble: str) -> tuple[Message, ...]:
    """The messages that ask for it again, with what was wrong."""
    again = f"That program gave no verdict. {trouble}\nWrite the whole program again, in one fenced Python block, that prints True or False."
    return (*messages, Message("assistant", reply), Message("user", again))


def _ask(problem: Problem, solution: str) -> Message:
    choices = "".join(f"\n{chr(ord('A') + i)}. {choice}" for i, choice in enumerate(problem.choices))
    return Message("user", f"Question: {problem.question.strip()}{choices}\n\nSolution: {solution.strip()}\n\nWrite the program.")
