r"""The words of worked solutions: numbers, signs, relations, units and LaTeX commands, each with its place in the text.

Tokens keep offsets into the text as given, so nothing is ever rewritten first; escaped (`\\frac`) and unescaped LaTeX read the same. What cannot be
read exactly (variables, functions, subscripts, dots) becomes an *unknown*, which later makes a statement undecided. Linear in the length of the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from toolwright.checks import _claim_words as words

MAX_DIGITS = 300
"""Longer numbers are unknowns: exact arithmetic on them is possible but buys an attacker time."""


class Kind(StrEnum):
    """What a token is to the grammar."""

    NUMBER = "number"
    OPERATOR = "operator"
    OPEN = "open"
    CLOSE = "close"
    RELATION = "relation"
    WORD = "word"
    OF = "of"
    BREAK = "break"
    LINE = "line"
    PERCENT = "percent"
    BANG = "bang"
    UNKNOWN = "unknown"
    FRACTION = "fraction"
    ROOT = "root"
    BINOMIAL = "binomial"
    MARK = "mark"


@dataclass(slots=True)
class Token:
    """One word of a solution."""

    kind: Kind
    text: str
    """Normalised: operators are one of ``+ - * / : ^``, relations one of ``= ~ is equals``, words lower case."""
    start: int
    end: int
    value: Fraction | None = None
    """Of numbers."""
    places: int = 0
    """Decimals shown."""
    rough: bool = False
    """Written as inexact (``3.33...``)."""
    currency: bool = False
    split: bool = False
    """It may be the rest of a number written with a comma and a space: 14, 400."""
    spaced: bool = False
    """White space stands before it."""


_NUMBER = (
    r"(?:\d{1,3}(?:(?:,\\+!|,|\{,\}|\\+,|\\+!,)\d{3})+(?!\d)(?:\.\d+)?|\d{1,2}(?:,\d{2})+,\d{3}(?!\d)(?:\.\d+)?"
    r"|\d+\.\d+[eE][+-]?\d{1,3}(?!\w)|\d+[eE][+-]?\d\d\d?(?!\w)|\d+(?:\.\d+)?|\.\d+)"
)
_LETTER = r"[^\W\d_½¼¾⅓⅔⅛⅜⅝⅞⅕⅖⅗⅘⅙⅚⁰¹²³⁴⁵⁶⁷⁸⁹]"
_TOKEN = re.compile(
    r"(?P<mark><<[^<>\n]{0,400}>>)"
    r"|(?P<clock>[AaPp]\.\s?[Mm]\b\.?)"
    r"|(?P<dots>\.{2,}|…|⋯)"
    rf"|(?P<number>{_NUMBER})"
    r"|(?P<command>(?:\\+|\x0c(?=rac)|\t(?=imes|ext\{)|\x08(?=oxed|inom)|\r(?=ight))[A-Za-z]+)"
    r"|(?P<escape>\\+[^A-Za-z]?)"
    rf"|(?P<subscript>_\s?(?:\{{[^{{}}\n]{{0,60}}\}}|\\?[A-Za-z]+|\d))"
    rf"|(?P<word>[A-Z]&[A-Z](?:['’]?s)?|{_LETTER}(?:{_LETTER}|[0-9]|['’](?={_LETTER}))*(?:-{_LETTER}{{2,}}(?!\w))*)"
    r"|(?P<space>[^\S\n]+)"
    r"|(?P<line>\n)"
    r"|(?P<sign>\*\*|[=!<>+\-*/:]=+|[-=]+>|<[-=]*|[^\w\s])"
    r"|(?P<rest>[\w])",
    re.UNICODE,
)
_VULGAR = {
    "½": (1, 2),
    "¼": (1, 4),
    "¾": (3, 4),
    "⅓": (1, 3),
    "⅔": (2, 3),
    "⅛": (1, 8),
    "⅜": (3, 8),
    "⅝": (5, 8),
    "⅞": (7, 8),
    "⅕": (1, 5),
    "⅖": (2, 5),
    "⅗": (3, 5),
    "⅘": (4, 5),
    "⅙": (1, 6),
    "⅚": (5, 6),
}
_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_OPERATORS = {
    "+": "+", "-": "-", "−": "-", "–": "-", "—": "-", "*": "*", "×": "*", "·": "*", "⋅": "*", "∙": "*", "∗": "*", "✕": "*", "✖": "*", "⨯": "*",
    "÷": "/", "/": "/", "∕": "/", "⁄": "/", "^": "^",
}  # fmt: skip
_COMMAND_OPERATORS = {"times": "*", "cdot": "*", "div": "/", "imes": "*"}
_GLUE = words.listed(
    "left right ight big Big bigg Bigg bigl bigr Bigl Bigr displaystyle textstyle limits nonumber quad_ text mathrm mbox textbf mathbf textit "
    "boxed oxed underline ext rm bf it textrm mathit fbox operatorname_ phantom hspace small large Large"
)
_GROUPED = words.listed("text mathrm mbox textbf mathbf textit boxed oxed underline ext textrm mathit fbox")
_BREAKS = words.listed(
    "quad qquad implies Rightarrow Longrightarrow Leftrightarrow iff to rightarrow longrightarrow therefore because le leq leqslant ge geq "
    "geqslant ne neq lt gt mid nmid in notin subset cup cap land lor begin end tag label hline par newline item label_ section subsection hfill"
)
_OPERAND_AHEAD = re.compile(r"\s*(?:\\*\$|€|£)?\s?\(?\s?(?:\.?\d|\\+[dt]?frac|\\+sqrt|[√½¼¾⅓⅔])")
_SHORT_FRACTION = re.compile(r"\s*(\d)\s*(\d)")
_TABLE = re.compile(r"\{((?:[pbvBV]|small)?matrix\*?|array|cases|tabular)\}")
_ARGUMENT = re.compile(r"\s*\{[^{}\n]{0,80}\}")
_OPENERS = "([{"
_CLOSERS = ")]}"


def tokenize(text: str) -> list[Token]:
    """The tokens of a text, in order; white space, emphasis and math delimiters leave no token."""
    tokens = _Tokens(text)
    position, size = 0, len(text)
    while position < size:
        match = _TOKEN.match(text, position)
        if match is None:
            position += 1
            continue
        position = tokens.take(match)
    return tokens.out


class _Tokens:
    """The tokenizer's state: what came out, and which braces are only LaTeX grouping."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.x_names = re.search(r"(?<![\w])x\d|\dx\d\^", text) is not None
        """Whether x1, x2 are names here, so that 3x1 is no product of numbers."""
        self.names: dict[str, bool] = {}
        self.out: list[Token] = []
        self.spaced = True
        self.currency = -1
        self.braces: list[bool] = []

    def take(self, match: re.Match[str]) -> int:
        """Turn one match into tokens; returns where to go on reading."""
        kind = match.lastgroup or "rest"
        handler = getattr(self, f"_{kind}")
        after: int | None = handler(match)
        if kind not in ("space", "line"):
            self.spaced = False
        return match.end() if after is None else after

    def add(self, kind: Kind, text: str, start: int, end: int) -> Token:
        """Put out a token; a currency sign waits for nothing but a number."""
        token = Token(kind, text, start, end, spaced=self.spaced)
        self.currency = -1
        self.out.append(token)
        return token

    def _space(self, match: re.Match[str]) -> None:
        self.spaced = True

    def _line(self, match: re.Match[str]) -> None:
        self.add(Kind.LINE, "\n", match.start(), match.end())
        self.spaced = True

    def _mark(self, match: re.Match[str]) -> None:
        self.add(Kind.MARK, match.group(), match.start(), match.end())

    def _clock(self, match: re.Match[str]) -> None:
        self.add(Kind.WORD, match.group()[0].lower() + "m", match.start(), match.end())

    def _dots(self, match: re.Match[str]) -> None:
        last = self.out[-1] if self.out else None
        if last is not None and last.kind is Kind.NUMBER and last.end == match.start() and last.places:
            last.rough = True
            last.end = match.end()
        elif match.group() == ".." and last is not None and last.kind is Kind.WORD:
            self.add(Kind.BREAK, "..", match.start(), match.end())
        else:
            self.add(Kind.UNKNOWN, "...", match.start(), match.end())

    def _number(self, match: re.Match[str]) -> int | None:
        raw, start, end = match.group(), match.start(), match.end()
        if self._is_list_marker(start, end):
            self.add(Kind.BREAK, raw, start, end + 1)
            self.spaced = True
            return end + 1
        plain = re.sub(r"[^\d.eE+-]", "", raw)
        mantissa, _, exponent = plain.lower().partition("e")
        if len(plain) > MAX_DIGITS or (plain[0] == "0" and len(plain) > 2 and plain.isdigit()):
            self.add(Kind.UNKNOWN, "digits", start, end)
            return None
        whole, _, decimals = mantissa.partition(".")
        value = Fraction(int((whole or "0") + decimals), 10 ** len(decimals))
        if exponent:
            value *= Fraction(10) ** max(-99, min(99, int(exponent)))
        if self.currency >= 0:
            start = self.currency
        split = (
            len(whole) == 3 and len(self.out) > 1 and self.out[-1].text == "," and self.out[-2].kind is Kind.NUMBER and self.out[-2].end == self.out[-1].start
        )
        currency = self.currency >= 0
        token = self.add(Kind.NUMBER, raw, start, end)
        token.split = split
        token.value, token.places, token.currency = value, len(decimals), currency
        return None

    def _is_list_marker(self, start: int, end: int) -> bool:
        if end - start > 3 or end >= len(self.text) or self.text[end] not in ".)" or (end + 1 < len(self.text) and not self.text[end + 1].isspace()):
            return False
        return not self.out or self.out[-1].kind is Kind.LINE or (self.out[-1].kind is Kind.BREAK and self.text[end] == ".")

    def _subscript(self, match: re.Match[str]) -> None:
        self.add(Kind.UNKNOWN, "_", match.start(), match.end())

    def _rest(self, match: re.Match[str]) -> int | None:
        character = match.group()
        if character in _VULGAR:
            token = self.add(Kind.NUMBER, character, match.start(), match.end())
            token.value = Fraction(*_VULGAR[character])
        elif character.translate(_SUPERSCRIPT) != character:
            self.add(Kind.OPERATOR, "^", match.start(), match.start())
            end = match.end()
            while end < len(self.text) and self.text[end].translate(_SUPERSCRIPT) != self.text[end] and end - match.start() < 4:
                end += 1
            token = self.add(Kind.NUMBER, "sup", match.start(), end)
            token.value = Fraction(int(self.text[match.start() : end].translate(_SUPERSCRIPT)))
            return end
        else:
            self.add(Kind.UNKNOWN, character, match.start(), match.end())
        return None

    def _word(self, match: re.Match[str]) -> int | None:
        text, start, end = match.group().lower(), match.start(), match.end()
        last = self.out[-1] if self.out else None
        touching = last is not None and last.end == start
        if last is not None and touching and last.kind is Kind.NUMBER:
            return self._suffix(last, match)
        if text == "sqrt":
            self.add(Kind.ROOT, text, start, end)
            return None
        if text == "x" or text == "х":
            self._letter_x(start, end)
            return None
        if (found := words.FRACTION_OF.match(self.text, start)) is not None:
            token = self.add(Kind.NUMBER, "part", start, found.end())
            token.value = words.fraction_value(found)
            return found.end()
        if (found := words.EQUALS.match(self.text, start)) is not None:
            self.add(Kind.RELATION, "is" if found.group().lower() in words.BE else "equals", start, found.end())
            return found.end()
        if (found := words.WORD_OPERATOR.match(self.text, start)) is not None:
            self.add(Kind.OPERATOR, words.operator_sign(found.group()), start, found.end())
            return found.end()
        if text in ("percent", "percents"):
            self.add(Kind.PERCENT, "%", start, end)
        elif text == "of":
            self.add(Kind.OF, text, start, end)
        elif text in ("twice", "double", "triple") and re.match(r"\s+\$?\d", self.text[end : end + 4]):
            token = self.add(Kind.NUMBER, "part", start, end)
            token.value = Fraction(3 if text == "triple" else 2)
            self.add(Kind.OPERATOR, "*", start, end)
        else:
            self._plain_word(match.group(), start, end)
        return None

    def _plain_word(self, raw: str, start: int, end: int) -> None:
        following = self.text[end : end + 1]
        if raw in words.LETTER_UNITS and self.spaced and self.out and self.out[-1].kind is Kind.NUMBER and not self._named(raw):
            self.add(Kind.WORD, raw, start, end)
            return
        variable = words.is_variable(raw, self.text[end : end + 2]) or following in ("_", "(", "[") or any(c.isdigit() for c in raw)
        self.add(Kind.UNKNOWN if variable else Kind.WORD, raw.lower() if not variable else raw, start, end)

    def _named(self, letter: str) -> bool:
        """Whether the text uses the letter as a name, so that it is no unit in it."""
        if letter not in self.names:
            self.names[letter] = re.search(rf"(?<![\w/])(?<!\d )(?:[Ll]et {letter}\b|{letter}\s?[=+\-*^(]|\d{letter}\b)", self.text) is not None
        return self.names[letter]

    def _suffix(self, number: Token, match: re.Match[str]) -> int | None:
        """Letters that touch a number: an ordinal, a unit, a multiplication sign or a variable."""
        raw, start, end = match.group(), match.start(), match.end()
        lower = raw.lower()
        if lower in ("st", "nd", "rd", "th"):
            self.out.pop()
            self.add(Kind.WORD, "ordinal", number.start, end)
        elif lower[0] == "x" and not self.x_names and (len(lower) == 1 or lower[1:].isdigit()) and re.match(r"\s*\$?\d|\s*$", self.text[start + 1 : start + 4]):
            if len(lower) == 1 and not re.match(r"\$?\d" if self._named("x") else r"\s?\$?\d", self.text[end : end + 3]):
                self.add(Kind.UNKNOWN, raw, start, end)
            else:
                self.add(Kind.OPERATOR, "*", start, start + 1)
                return start + 1
        elif lower == "sqrt":
            self.add(Kind.ROOT, lower, start, end)
        elif lower in words.UNITS or lower in words.MULTIPLIERS:
            self.add(Kind.WORD, lower, start, end)
        else:
            self.add(Kind.UNKNOWN, raw, start, end)
        return None

    def _letter_x(self, start: int, end: int) -> None:
        """A lone x: a multiplication sign between two operands set off alike on both sides, else a variable."""
        after = self.text[end : end + 1]
        last = self.out[-1] if self.out else None
        left = last is not None and last.kind in (Kind.NUMBER, Kind.CLOSE, Kind.WORD, Kind.PERCENT) and last.text != "be"
        right = _OPERAND_AHEAD.match(self.text, end) is not None
        if left and right and after.isspace() == self.spaced:
            self.add(Kind.OPERATOR, "*", start, end)
        else:
            self.add(Kind.UNKNOWN, "x", start, end)

    def _command(self, match: re.Match[str]) -> int | None:
        name, start, end = match.group().lstrip("\\\t\x0c\x08\r"), match.start(), match.end()
        if name not in words.COMMANDS and name[0] == "n" and match.group()[0] == "\\":
            # An escaped line end of a JSON string, glued to the next word.
            at = start + len(match.group()) - len(name) + 1
            self.add(Kind.LINE, "\n", start, at)
            self.spaced = True
            return at
        if name in _COMMAND_OPERATORS:
            self.add(Kind.OPERATOR, _COMMAND_OPERATORS[name], start, end)
        elif name in ("frac", "dfrac", "tfrac", "cfrac", "rac"):
            return self._fraction(start, end)
        elif name == "sqrt":
            self.add(Kind.ROOT, name, start, end)
        elif name in ("binom", "dbinom", "inom"):
            self.add(Kind.BINOMIAL, "binom", start, end)
        elif name in ("approx", "simeq", "doteq"):
            self.add(Kind.RELATION, "~", start, end)
        elif name in _BREAKS:
            return self._boundary(name, start, end)
        elif name in _GLUE:
            return self._glue(name, end)
        elif name in ("circ", "degree", "prime_"):
            self._degree(name, start, end)
        elif name == "pi":
            self.add(Kind.NUMBER, "pi", start, end)
        else:
            self.add(Kind.UNKNOWN, name, start, end)
        return None

    def _degree(self, name: str, start: int, end: int) -> None:
        if self.out and self.out[-1].kind is Kind.OPERATOR and self.out[-1].text == "^":
            self.out.pop()
        elif len(self.out) > 1 and self.out[-1].kind is Kind.OPEN and self.out[-2].text == "^":
            del self.out[-2:]
            if self.braces:
                self.braces[-1] = True
        elif name == "circ":
            self.add(Kind.UNKNOWN, name, start, end)
            return
        self.add(Kind.WORD, "degrees", start, end)

    def _fraction(self, start: int, end: int) -> int | None:
        short = _SHORT_FRACTION.match(self.text, end)
        if short is None:
            self.add(Kind.FRACTION, "frac", start, end)
            return None
        token = self.add(Kind.NUMBER, "part", start, short.end())
        bottom = int(short.group(2))
        if bottom == 0:
            token.kind = Kind.UNKNOWN
        else:
            token.value = Fraction(int(short.group(1)), bottom)
            token.text = "frac"
        return short.end()

    def _boundary(self, name: str, start: int, end: int) -> int | None:
        if name == "begin" and (table := _TABLE.match(self.text, end)) is not None:
            closing = self.text.find("\\end{" + table.group(1), end, end + 4000)
            if closing >= 0:
                closing = self.text.index("}", closing) + 1 if "}" in self.text[closing : closing + 40] else closing + 5
                self.add(Kind.UNKNOWN, "table", start, closing)
                return closing
        argument = _ARGUMENT.match(self.text, end) if name in ("begin", "end", "tag", "label", "section", "subsection") else None
        self.add(Kind.LINE if name in ("begin", "end") else Kind.BREAK, name, start, end)
        return argument.end() if argument else None

    def _glue(self, name: str, end: int) -> int | None:
        if name in _GROUPED and end < len(self.text) and self.text[end] == "{":
            self.braces.append(True)
            return end + 1
        return None

    def _escape(self, match: re.Match[str]) -> int | None:
        character, start, end = match.group().lstrip("\\"), match.start(), match.end()
        if character == "%":
            self.add(Kind.PERCENT, "%", start, end)
        elif character == "$":
            self._money("$", start, end, self.text[end : end + 1])
        elif character in ("[", "]"):
            self.add(Kind.LINE, "display", start, end)
        elif character in ("", "\n") or (character.isspace() and len(match.group()) > 2):
            if len(match.group()) > 1:
                self.add(Kind.LINE, "\\\\", start, end)
        elif character == '"':
            self.add(Kind.BREAK, '"', start, end)
        elif character.isdigit() or character in "-=+":
            if end - start > 2:
                self.add(Kind.LINE, "\\\\", start, end - 1)
            return end - 1
        elif character == "*":
            self.add(Kind.OPERATOR, "*", start, end)
        elif character in "_&#@":
            self.add(Kind.UNKNOWN, character, start, end)
        elif character in "{}":
            self.add(Kind.BREAK, character, start, end)
        # What is left is spacing (`\,` `\;` `\ `) and inline delimiters (`\(` `\)`): no token.
        if character in ("(", ")", ",", ";", "!", " ", ":"):
            self.spaced = True
        return None

    def _sign(self, match: re.Match[str]) -> int | None:
        sign, start, end = match.group(), match.start(), match.end()
        following = self.text[end : end + 1]
        if sign == "**":
            self._stars(start, end, following)
        elif sign == "*" and (not self.out or self.out[-1].kind in (Kind.LINE, Kind.BREAK)):
            self.spaced = True  # a bullet, or emphasis
        elif sign in _OPERATORS:
            self.add(Kind.OPERATOR, _OPERATORS[sign], start, end)
        elif sign == "!=" and start and (self.text[start - 1] in ")}" or self.text[start - 1].isdigit()):
            self.add(Kind.BANG, "!", start, start + 1)
            self.add(Kind.RELATION, "=", start + 1, end)
        elif sign in ("=", "=="):
            self.add(Kind.RELATION, "~" if following in ("~", "≈") else "=", start, end)
        elif sign in "≈≅≃":
            self.add(Kind.RELATION, "~", start, end)
        elif sign in _OPENERS:
            self._open(sign, start, end)
        elif sign in _CLOSERS:
            self._close(sign, start, end)
        elif sign in "$€£¥₹":
            return self._money(sign, start, end, following)
        elif sign == "%":
            self.add(Kind.PERCENT, "%", start, end)
        elif sign == "¢":
            self.add(Kind.WORD, "cents", start, end)
        elif sign == "°":
            self.add(Kind.WORD, "degrees", start, end)
        elif sign == "√":
            self.add(Kind.ROOT, "sqrt", start, end)
        elif sign == ":":
            self._colon(start, end, following)
        elif sign == "!":
            self.add(Kind.BANG, "!", start, end)
        elif sign == ".":
            if self.text.startswith(("\\overline", "\\bar"), end):
                self.add(Kind.UNKNOWN, ".", start, end)
            elif not following or following.isspace() or following in "\"'”)*<$\\#_":
                self.add(Kind.BREAK, ".", start, end)
            elif not (following.isalpha() and self.out and self.out[-1].kind is Kind.WORD):
                self.add(Kind.UNKNOWN, ".", start, end)
        elif sign == ",":
            kind = Kind.BREAK if not following or following.isspace() or not following.isdigit() else Kind.UNKNOWN
            self.add(kind, ",", start, end)
        elif sign in "_±∓∑∏∫|@" or (sign == "~" and self.text[start - 1 : start].isdigit()):
            self.add(Kind.UNKNOWN, sign, start, end)
        elif sign in "&`~'’‘":
            self.spaced = True
        else:
            self.add(Kind.BREAK, sign, start, end)
        return None

    def _stars(self, start: int, end: int, following: str) -> None:
        before = self.text[start - 1 : start]
        left = before.isdigit() or before == ")" or (before == " " and following == " ")
        right = following.isdigit() or following in ("(", " ")
        numeric = bool(self.out) and self.out[-1].kind in (Kind.NUMBER, Kind.CLOSE)
        if left and right and numeric and before.isspace() == following.isspace() and re.match(r"\s?\(?-?\d", self.text[end : end + 4]):
            self.add(Kind.OPERATOR, "^", start, end)

    def _open(self, sign: str, start: int, end: int) -> None:
        if sign == "{":
            self.braces.append(False)
        self.add(Kind.OPEN, sign, start, end)

    def _close(self, sign: str, start: int, end: int) -> None:
        if sign == "}" and self.braces and self.braces.pop():
            return
        self.add(Kind.CLOSE, sign, start, end)

    def _money(self, sign: str, start: int, end: int, following: str) -> int | None:
        if sign == "$" and following == "$" and self.text[start] == "$":
            self.add(Kind.LINE, "display", start, end + 1)
            return end + 1
        if re.match(r"\s?\.?\d", self.text[end : end + 3]):
            self.currency = start
        return None

    def _colon(self, start: int, end: int, following: str) -> None:
        before = self.text[start - 1 : start]
        if following.isdigit() and (before.isdigit() or re.search(r"(?<!\w)\w$", self.text[max(0, start - 2) : start])):
            self.add(Kind.UNKNOWN, ":", start, end)
        elif before == " " and following == " " and self.out and self.out[-1].kind in (Kind.NUMBER, Kind.CLOSE) and self.text[end + 1 : end + 2].isdigit():
            self.add(Kind.OPERATOR, ":", start, end)
        else:
            self.add(Kind.BREAK, ":", start, end)
