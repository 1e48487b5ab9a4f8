r"""The final answer of a model's own text, found by the marks models use, strongest first.

The caller passes the model's words only (`Episode.model_text`): what a tool printed is never an answer. Nothing here judges an answer; two spellings of one
value stay two strings until `Equivalence` compares them. The order of the marks, the last of its kind winning each time:

1. ``\boxed{…}`` or ``\fbox{…}`` with balanced braces  2. ``<answer>…</answer>``  3. ``#### …``  4. ``"answer": …`` in a JSON-style reply
5. "the (final) answer is …", "Answer: …", "A: …"  6. a bold end, ``**…**``  7. the last number of the last line that has one.

A mark that holds nothing is passed over. With choices, each mark in turn must name a letter or an option's text; after them a lone letter at the end does, and
then the one option that the last lines quote.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from string import ascii_uppercase

_NUMBER = r"[-+−]?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)?(?:\.\d+|(?<=\d))(?:[eE][-+]?\d+)?"
_CURRENCY = r"(?:\\?[$£€¥₹]|US\$|USD|EUR|GBP|Rs\.?)"
_PLAIN = re.compile(rf"(?P<sign>[-−+]?)\s*{_CURRENCY}?\s*(?P<number>{_NUMBER})(?P<percent>\s*\\?%)?(?P<unit>.*)", re.DOTALL)
_LAST_NUMBER = re.compile(
    rf"(?<![\w.,/^])(?:(?P<minus>[-−])\s?)?{_CURRENCY}?\s?(?P<number>(?:{_NUMBER})(?:\s?/\s?\d+(?!\d*[./]\d))?)(?P<percent>\s?\\?%)?"
    r"|(?P<latex>[-−]?(?:\d+\s*)?\\[dt]?frac\s*(?:\{[^{}]*\}|\d)\s*(?:\{[^{}]*\}|\d))"
)
_ANSWER = re.compile(
    r"(?:\b(?:final|correct|right|required|best)\s+(?:answer|option|choice|result)|\banswer|\bsolution)\b"
    r"(?:\s+(?:to|for|of)\b[^.\n:=]{0,80}?)?\s*(?:\(s\)\s*)?(?:is|are|=|:|will\s+be|would\s+be)\s*:?\s*(?:(?:therefore|thus|simply|just)\s+)?(?=(?P<rest>\S[^\n]*))"
    r"|^\s*(?:A|Ans(?:wer)?)\s*[:.]\s*(?=(?P<short>\S[^\n]*))",
    re.IGNORECASE | re.MULTILINE,
)
_JSON = re.compile(r"[\"'](?:final[_ ]?)?answer[\"']\s*:\s*(?P<value>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|\[[^\]\n]*\]|[^,}\n]+)", re.IGNORECASE)
_TAG = re.compile(r"<answer>(?P<value>.*?)</answer>", re.IGNORECASE | re.DOTALL)
_HASHES = re.compile(r"####[ \t]*(?P<value>[^\n]*)")
_BOLD = re.compile(r"\*\*(?P<value>[^*\n]+?)\*\*")
_BOX = re.compile(r"\\(?:boxed|fbox)\s*(?P<open>\{|(?P<bare>[^\s{}$]+))")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_LATEX_IN_JSON = re.compile(r"(?<!\\)\\(?:frac|text|times|tan|theta|sqrt|boxed|beta|begin|bar|binom|right|rho|left|neq?\b|nu\b|pi\b|cdot|infty|pm\b|circ)")
_SENTENCE_END = re.compile(r"[.!?](?=\s+[A-Z\"'(*]|\s*$)|[;;]\s")
_ASIDE = re.compile(
    r",?\s+(?:because|since|which|so|as|when|where|after|if|given|but|according|for\s+the|in\s+total|per\s+the)\b.*|\s+[–—]\s.*|,\s+(?!and\b|or\b)[A-Za-z]{3,}.*",
    re.DOTALL,
)
_UNIT_WORDS = re.compile(r"\s*(?:[-A-Za-z°%./²³]+(?:\^\{?[23]\}?)?\s*){1,6}\.?")
_JOINS = re.compile(
    r"\b(?:or|and|to|plus|minus|times|over|feet|ft|hours?|pi|sqrt|mod|through|by|cents?)\b|\b(?:million|billion|trillion|thousand|hundred|dozen)\b",
    re.IGNORECASE,
)
_BEFORE_PROSE = re.compile(
    rf"\s*-?\s*{_CURRENCY}?\s*{_NUMBER}\s*(?:\\?%|\$)?(?=(?P<rest>\s+[A-Za-z]{{2,}}[^A-Za-z0-9]+[A-Za-z(]|/[a-z]{{2,}}\s+[a-z]).*)", re.DOTALL
)
_PART_OF_VALUE = re.compile(
    r"\s*(?:and|or|plus|minus|times|over|pi|sqrt|mod|million|billion|trillion|thousand|hundred|dozen)\b|\s*[A-Za-z]+\s+(?:and\s+)?(?:an?\s+)?[$\d]",
    re.IGNORECASE,
)
_VERB = re.compile(
    r"\b(?:is|are|was|were|has|have|had|will|would|can|must|needs?|gets?|makes?|takes?|costs?|earns?|pays?|spends?|weighs?)\b|[a-z] = ", re.IGNORECASE
)
_LETTER = re.compile(
    r"(?:(?:option|choice|answer|letter)\s+)?(?:\(\s*(?P<round>[A-Za-z])\s*\)|\[(?P<square>[A-Za-z])\]|(?P<bare>[A-Z])(?=$|\s*[.):,;]|\s*[-–—]\s|\s+(?:because|since|as)\b))",
    re.IGNORECASE,
)
_OPTION_A = re.compile(r"^\s*A\s*[:.)].*\n(?=\s*B\s*[:.)])", re.MULTILINE)
"""A line that lists the first option, with the second below it; it must not be taken for "A: …", an answer."""
_LONE_LETTERS = re.compile(r"\(([A-Z])\)|\b(?:option|choice)\s+\(?([A-Z])\b|(?:^|\n)\s*\**([A-Z])\**\s*[.):]?\s*(?=\n|$)")


def extract_answer(text: str, *, choices: Sequence[str] = ()) -> str | None:
    r"""The final answer of a model's own text, cleaned; None when there is none.

    With `choices` (the options in the order of the letters A, B, …) the answer is the letter. What follows ``</think>`` comes before what precedes it.
    Cleaning takes away math delimiters, trailing punctuation, currency signs, thousands separators and units around what is plainly one number, and the words
    around the number of a sentence ("Sally has 9 books"); anything else stays as written ("x=5", ``\frac{1}{2}``, "3 and 5").
    """
    thought, closed, said = text.rpartition("</think>")
    if closed:
        return extract_answer(said, choices=choices) or extract_answer(thought, choices=choices)
    if choices:
        return _extract_choice(_OPTION_A.sub("", text), choices)
    for find in _MARKS:
        for found in find(text):
            if cleaned := _clean(found):
                return cleaned
    return None


def _extract_choice(text: str, choices: Sequence[str]) -> str | None:
    letters = ascii_uppercase[: len(choices)]
    for find in _MARKS[:-1]:
        for found in find(text):
            if letter := _letter(found, choices):
                return letter
    lone = [next(group for group in match.groups() if group) for match in _LONE_LETTERS.finditer(text)]
    if usable := [letter for letter in lone if letter in letters]:
        return usable[-1]
    lines = [line for line in text.splitlines() if line.strip()]
    for line in reversed(lines[-2:]):
        if letter := _letter(line, choices) or _quoted_option(line, choices):
            return letter
    return None


def _letter(found: str, choices: Sequence[str]) -> str | None:
    """The letter a marked answer names: by letter, or by being an option's text."""
    letters = ascii_uppercase[: len(choices)]
    plain = _plain_text(found)
    if re.fullmatch(r"[A-Za-z]", plain) and plain.upper() in letters:
        return plain.upper()
    for letter, choice in zip(letters, choices, strict=True):
        if _same_text(plain, choice):
            return letter
    if match := _LETTER.match(plain):
        named = next(group for group in match.groups() if group)
        if named.upper() in letters and (match["bare"] is None or named.isupper()):
            return named.upper()
    cut = _plain_text(_first_clause(plain))
    by_text = [letter for letter, choice in zip(letters, choices, strict=True) if _same_text(cut, choice)]
    return by_text[0] if len(by_text) == 1 else None


def _quoted_option(line: str, choices: Sequence[str]) -> str | None:
    """The letter of the one option whose text the line quotes; a longer option hides the shorter ones inside it."""
    folded = f" {_fold(line)} "
    quoted = [(letter, _fold(choice)) for letter, choice in zip(ascii_uppercase, choices, strict=False) if _fold(choice) and f" {_fold(choice)} " in folded]
    longest = [letter for letter, option in quoted if not any(option != other and option in other for _, other in quoted)]
    return longest[0] if len(longest) == 1 else None


def _same_text(answer: str, choice: str) -> bool:
    if _fold(answer) and _fold(answer) == _fold(choice):
        return True
    first, second = _clean(answer), _clean(choice)
    return bool(first) and first == second


def _fold(text: str) -> str:
    return " ".join(re.sub(r"[^\w%+\-./^\\]+", " ", text.casefold()).strip(" .").split())


def _plain_text(found: str) -> str:
    text = re.sub(r"\\(?:text|mathrm|mbox|textbf|mathbf|textrm)\s*\{([^{}]*)\}", r"\1", _strip_delimiters(found))
    return text.replace("**", "").strip(" \t\n\"'`.:,;*")


def _boxed(text: str) -> Iterator[str]:
    boxes = list(_BOX.finditer(text))
    ends = _partners(text) if boxes else {}
    for match in reversed(boxes):
        if match["bare"]:
            yield match["bare"]
        elif (end := ends.get(match.end() - 1)) is not None:
            yield text[match.end() : end]


def _partners(text: str) -> dict[int, int]:
    """The place of the closing brace of each opening one that has one; escaped braces count for nothing."""
    partners: dict[int, int] = {}
    open_braces: list[int] = []
    for match in _BRACE.finditer(text):
        if match[0] == "{":
            open_braces.append(match.start())
        elif match[0] == "}" and open_braces:
            partners[open_braces.pop()] = match.start()
    return partners


def _tagged(text: str) -> Iterator[str]:
    for match in reversed(list(_TAG.finditer(text))):
        yield from _inside(match["value"])


def _hashes(text: str) -> Iterator[str]:
    for match in reversed(list(_HASHES.finditer(text))):
        yield from _inside(_first_clause(match["value"].strip()))


def _json_replies(text: str) -> Iterator[str]:
    for match in reversed(list(_JSON.finditer(text))):
        if re.search(r"e\.g\.|for example|such as", text[max(0, match.start() - 16) : match.start()]):
            continue  # the instructions, echoed
        value = match["value"].strip()
        try:
            is_json = value.startswith('"') and not _LATEX_IN_JSON.search(value)
            value = str(json.loads(value)) if is_json else value.strip("'\"")
        except json.JSONDecodeError:  # LaTeX with single backslashes is no valid JSON string
            value = value.strip('"')
        if value.lower() not in {"null", "none"}:
            yield from _inside(value)


def _phrases(text: str) -> Iterator[str]:
    bare = text.replace("**", "").replace("__", "")
    for match in reversed(list(_ANSWER.finditer(bare))):
        yield from _inside(_first_clause((match["rest"] or match["short"]).strip()))


def _inside(found: str) -> Iterator[str]:
    """A stronger mark inside what a mark holds, and else the thing itself."""
    nested = next(_boxed(found), None)
    yield found if nested is None else nested


def _first_clause(rest: str) -> str:
    """The answer at the start of a sentence: its math span if it starts with one, else what stands before the sentence's end or an aside."""
    for opening, closing in (("$$", "$$"), ("\\(", "\\)"), ("\\[", "\\]"), ("$", "$")):
        end = rest.find(closing, len(opening)) if rest.startswith(opening) else -1
        if end > 0 and (opening != "$" or not re.match(r"\$\s?[\d,.]+\s+[A-Za-z]", rest)):
            tail = re.match(r"\s*(?:\\?%|°|(?!and\b|or\b)(?:[A-Za-z]+\s*){1,3}(?=[.,;]|$))", rest[end + len(closing) :])
            return rest[: end + len(closing)] + (tail[0] if tail and _is_number(rest[len(opening) : end]) else "")
    if end_match := _SENTENCE_END.search(rest):
        rest = rest[: end_match.start()]
    return _ASIDE.sub("", rest)


def _bold(text: str) -> Iterator[str]:
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        return
    for match in reversed(list(_BOLD.finditer(lines[-1]))):
        at_end = not lines[-1][match.end() :].strip(" .!$")
        if re.search(r"\d", match["value"]) or (at_end and not match["value"].rstrip().endswith(":")):
            yield _first_clause(match["value"].strip())


def _last_number(text: str) -> Iterator[str]:
    for line in reversed(text.splitlines()):
        found = [match for match in _LAST_NUMBER.finditer(line) if match["number"] or match["latex"]]
        if found:
            match = found[-1]
            yield match["latex"] or ("-" if match["minus"] and not _is_operator(line, match.start()) else "") + match["number"] + (
                "%" if match["percent"] else ""
            )
            return


def _is_operator(line: str, minus: int) -> bool:
    """Whether a minus sign subtracts (or joins a range) rather than negates."""
    before = line[:minus].rstrip()
    return bool(before) and (before[-1].isalnum() or before[-1] in ")]}%") and (minus == len(before) or line[minus + 1 : minus + 2].isspace())


_MARKS: tuple[Callable[[str], Iterator[str]], ...] = (_boxed, _tagged, _hashes, _json_replies, _phrases, _bold, _last_number)


def _clean(found: str) -> str:
    """The answer without what surrounds it; a plain number loses currency, separators and unit."""
    text = _last_side(_strip_delimiters(found))
    if not re.search(r"[^\s_.?*-]", text):
        return ""
    return _bare_number(text) or _number_before_prose(text) or _number_of_sentence(text) or text


def _strip_delimiters(found: str) -> str:
    text = found.strip()
    while True:
        before = text
        text = text.strip(" \t\n`\"'“”").removeprefix("**").removesuffix("**").removeprefix("\\displaystyle").strip()
        text = re.sub(r"(?<!\\)(?:\\\\)*[.,;:!]+$", "", text).strip() if not re.search(r"(?:\.\.\.|\\[,;:!])$", text) else re.sub(r"\\[,;:!]$", "", text)
        for opening, closing in (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]")):
            if (
                text.startswith(opening)
                and text.endswith(closing)
                and len(text) > len(opening) + len(closing) - 1
                and closing not in text[len(opening) : -len(closing)]
            ):
                text = text[len(opening) : -len(closing)].strip()
        if re.fullmatch(r"\$[^$]*\\[a-z][^$]*\$\s*\S{0,12}", text):
            text = text.replace("$", "")
        if text == before:
            return text


def _last_side(text: str) -> str:
    """The last side of a chain of plain arithmetic ("15 * 21 = 315" is 315)."""
    sides = [side.strip() for side in text.split("=")]
    arithmetic = re.compile(r"[\d\s+*/().,×÷−$%-]+")
    if len(sides) > 1 and _is_number(sides[-1]) and all(arithmetic.fullmatch(side.replace("\\times", "*")) and re.search(r"\d", side) for side in sides[:-1]):
        return sides[-1]
    return text


def _is_number(text: str) -> bool:
    return bool(_bare_number(text))


def _bare_number(text: str) -> str | None:
    """The number, where the text is plainly one number with at most a currency sign and a unit; None otherwise."""
    plain = re.sub(r"\\(?:text|mathrm|mbox|textbf|textrm)\s*\{([^{}]*)\}", r" \1", text).replace("\\ ", " ").replace("{,}", ",").replace("\\!", "")
    match = _PLAIN.fullmatch(plain.strip())
    if match is None or not match["number"]:
        return None
    unit = match["unit"].strip()
    if unit and (not _UNIT_WORDS.fullmatch(match["unit"]) or _JOINS.search(unit) or _is_symbolic(match["unit"])):
        return None
    sign = "-" if match["sign"] in {"-", "−"} else ""
    number = match["number"].replace(",", "").replace("−", "-").removeprefix("+")
    return f"{sign}{number}{'%' if match['percent'] else ''}"


def _number_before_prose(text: str) -> str | None:
    """The number a sentence begins with ("576 hash browns out of 96 potatoes"), where words of two letters or more follow it at once; None otherwise."""
    match = _BEFORE_PROSE.match(text)
    if match is None or not re.search(r"\d", match[0]) or _PART_OF_VALUE.match(match["rest"]) or "\\" in text or "=" in text:
        return None
    return _bare_number(match[0].rstrip().removesuffix("$"))


def _number_of_sentence(text: str) -> str | None:
    """The last number of a whole sentence ("Sally has 9 books"); None for anything shorter or with LaTeX."""
    if "\\" in text or not _VERB.search(text) or len(re.findall(r"[A-Za-z]{2,}", text)) < 3:
        return None
    return next(_last_number(text), None)


def _is_symbolic(unit: str) -> bool:
    """Whether letters behind a number are a factor (2x, 3R^2, 5 p) rather than a unit (5 cm, 12m²)."""
    word = unit.strip().rstrip(".")
    return bool(re.fullmatch(r"[A-Za-z](?:\^\{?\d\}?)?", word)) or bool(re.match(r"[a-zA-Z](?![a-zA-Z°])|[-/^.]", unit))
