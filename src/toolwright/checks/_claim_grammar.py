"""What one side of a statement says: runs of arithmetic among words.

A *run* is a stretch of operands and operators, with units and remarks in brackets passed over. Where something in it cannot be read the run is
*unknown*; where it can be read but a careful reader would doubt it, it carries a *doubt*, which forbids refutation and nothing else.
"""

from __future__ import annotations

from fractions import Fraction

from toolwright.checks import _claim_units as units
from toolwright.checks import _claim_words as words
from toolwright.checks._claim_tokens import Kind, Token
from toolwright.checks._claim_types import Call, Group, Number, Operand, Run
from toolwright.checks._numbers import pi

MAX_DEPTH = 24
MAX_ITEMS = 400
_STARTS = (Kind.NUMBER, Kind.OPEN, Kind.FRACTION, Kind.ROOT, Kind.BINOMIAL)


class Side:
    """Reads the tokens between two relations into runs."""

    def __init__(self, tokens: list[Token], *, opens: bool, cut: bool, ends: bool = True, depth: int = 0, failed: set[int] | None = None) -> None:
        self.tokens = tokens
        self.opens = opens
        self.ends = ends
        self.cut = cut
        self.depth = depth
        self.failed: set[int] = set() if failed is None else failed
        """Places of brackets that are no operand, so that nested ones are read once and not once a level."""
        self.at = 0
        self.runs: list[Run] = []
        self.run: Run | None = None
        self.prose: list[str] = []
        self.last_number = -1
        self.partner = _partners(tokens)

    def read(self) -> list[Run]:
        while self.at < len(self.tokens):
            if self.run is None:
                self._outside()
            elif len(self.run.items) % 2 == 0:
                self._want_operand(self.run)
            else:
                self._want_operator(self.run)
        if self.run is not None:
            run = self.run
            self._finish()
            run.at_end = not run.closed
        elif self.runs:
            self.runs[-1].tail += self.prose[:8]
        return self.runs

    def _peek(self, ahead: int = 0) -> Token | None:
        return self.tokens[self.at + ahead] if self.at + ahead < len(self.tokens) else None

    def _outside(self) -> None:
        """Among words: wait for the first operand."""
        token = self.tokens[self.at]
        first = self.at == 0
        if token.kind in _STARTS:
            self._open_run(token)
        elif token.kind is Kind.UNKNOWN:
            self._open_run(token).unknown = True
        elif token.kind is Kind.OPERATOR:
            if first and not self.cut and token.text in "+-":
                run = self._open_run(token)
                if self.opens and not (token.text == "-" and self._touches_next()):
                    run.bulleted = True
                    run.doubtful("it may start with a bullet or a dash")
            else:
                run = self._open_run(token)
                run.unknown = True
                run.items.append(_UNKNOWN)
        else:
            self.prose.append(token.text)
            self.at += 1

    def _touches_next(self) -> bool:
        following = self._peek(1)
        return following is not None and following.start == self.tokens[self.at].end

    def _open_run(self, token: Token) -> Run:
        run = Run(token.start, token.end, before=self.prose[-1] if self.prose else "")
        run.at_start = not self.runs and all(word in words.LEAD_INS or word in words.APPROXIMATE for word in self.prose)
        run.approximate = any(word in words.APPROXIMATE for word in self.prose[-3:])
        if self.runs and (not self.prose or (token.kind in (Kind.FRACTION, Kind.ROOT) and units.unit(self.prose[-1]) is not None)):
            run.doubtful("two numbers stand side by side")
        if self.runs and self.runs[-1].tail[:1] == ["of"] and self.runs[-1].closed and not any(word in words.STOPS for word in self.prose):
            run.doubtful("it follows a share of something")
        if self.cut and not self.runs:
            run.doubtful("it follows an unmatched bracket")
        self._judge_before(run)
        self.prose = []
        self.run = run
        return run

    def _judge_before(self, run: Run) -> None:
        word = run.before
        if word in words.BLOCKERS:
            run.doubtful(f"it follows “{word}”")
        elif word == "of" and (len(self.prose) < 2 or self.prose[-2] in words.UNSAFE_OF or (self.runs and len(self.prose) < 4)):
            run.doubtful("it follows “of”")
        elif word == "by" and any(other in words.SCALING for other in self.prose):
            run.doubtful("it follows a word that multiplies or divides")
        elif word == "ordinal":
            run.doubtful("it follows an ordinal")

    def _finish(self) -> None:
        run = self.run
        if run is None:
            return
        if len(run.items) % 2 == 0 and run.items:
            run.items.pop()
            run.doubtful("it ends in an operator")
            run.unknown = run.unknown or not run.items
        if not run.items:
            run.unknown = True
        self.runs.append(run)
        self.run = None

    def _want_operand(self, run: Run) -> None:
        token = self.tokens[self.at]
        if token.kind is Kind.WORD and run.items and token.text in words.FILLERS:
            self.at += 1
            return
        operand = self._operand(run, 0)
        if operand is None:
            if token.kind in (Kind.WORD, Kind.OF, Kind.PERCENT) and not run.items:
                self._finish()
                return
            run.unknown = True
            operand = _UNKNOWN
            run.end = max(run.end, token.end)
            if token.kind is Kind.OPEN and self.at in self.partner:
                run.end = self.tokens[self.partner[self.at]].end
                self.at = self.partner[self.at] + 1
            else:
                self.at += 1
        run.items.append(operand)
        run.first_end = run.first_end or run.end
        if len(run.items) > MAX_ITEMS:
            run.unknown = True

    # operands

    def _operand(self, run: Run, level: int) -> Operand | None:
        """The operand at this place, or None with the place unchanged."""
        token = self._peek()
        if token is None or level > 3:
            return None
        if token.kind is Kind.OPERATOR and token.text in "+-":
            self.at += 1
            inner = self._operand(run, level + 1)
            if inner is None:
                self.at -= 1
                return None
            return inner if token.text == "+" else Call("negative", [inner])
        primary = self._primary(run)
        return None if primary is None else self._postfix(run, primary)

    def _primary(self, run: Run) -> Operand | None:
        token = self._peek()
        if token is None:
            return None
        if token.kind is Kind.NUMBER:
            return self._number(run, token)
        if token.kind is Kind.OPEN:
            return self._group(run)
        if token.kind in (Kind.FRACTION, Kind.BINOMIAL):
            return self._call(run, token.text, 2)
        if token.kind is Kind.ROOT:
            return self._root(run)
        return None

    def _number(self, run: Run, token: Token) -> Operand:
        self.at += 1
        self.last_number = self.at
        run.end = token.end
        run.numbers += 1
        if token.currency:
            run.units.add("dollar")
        if token.split:
            run.doubtful("it may start inside a number")
        if token.value is None:
            return Number(pi(), Fraction(0), whole=False)
        number = Number(token.value, Fraction(1, 10**token.places), token.places == 0, rough=token.rough, part=token.text in ("part", "frac"))
        fraction = self._mixed_part(token, number)
        if fraction is None:
            return number
        run.numbers += 1
        return Call("mixed", [number, fraction])

    def _mixed_part(self, token: Token, number: Number) -> Operand | None:
        """The fraction of a mixed number: `1 1/2`, `2½`."""
        top, slash, bottom = self._peek(), self._peek(1), self._peek(2)
        if top is None or top.value is None or top.kind is not Kind.NUMBER or not number.whole or token.text in ("part", "frac", "sup"):
            return None
        if top.text in "½¼¾⅓⅔⅛⅜⅝⅞⅕⅖⅗⅘⅙⅚" and top.value.denominator != 1:
            self.at += 1
            self.run_end(top)
            return Number(top.value, Fraction(0), whole=False)
        if slash is None or bottom is None or slash.text != "/" or bottom.kind is not Kind.NUMBER or bottom.value is None:
            return None
        if not (slash.start == top.end and bottom.start == slash.end and 0 < top.value < bottom.value <= 100) or top.currency or bottom.currency:
            return None
        self.at += 3
        self.run_end(bottom)
        return Number(top.value / bottom.value, Fraction(0), whole=False)

    def run_end(self, token: Token) -> None:
        """Let the run reach this token."""
        if self.run is not None:
            self.run.end = token.end

    def _group(self, run: Run) -> Operand | None:
        end = self.partner.get(self.at)
        place = self.tokens[self.at].start
        if end is None or self.depth >= MAX_DEPTH or place in self.failed:
            return None
        inner = self._inside(self.at + 1, end, run)
        if inner is None:
            self.failed.add(place)
            return None
        run.end = self.tokens[end].end
        self.at = end + 1
        self.last_number = self.at
        return inner

    def _inside(self, start: int, end: int, run: Run) -> Group | None:
        """What stands between two brackets, if it is one run and nothing else."""
        side = Side(self.tokens[start:end], opens=False, cut=False, depth=self.depth + 1, failed=self.failed)
        runs = side.read()
        if len(runs) != 1 or not runs[0].at_start or not runs[0].at_end or runs[0].unknown or runs[0].closed:
            return None
        run.numbers += runs[0].numbers
        run.units |= runs[0].units
        if runs[0].doubt:
            run.doubtful(runs[0].doubt)
        return Group(runs[0].items)

    def _argument(self, run: Run) -> Operand | None:
        token = self._peek()
        if token is not None and token.kind is Kind.OPEN and token.text == "{":
            return self._group(run)
        return None

    def _call(self, run: Run, name: str, count: int) -> Operand | None:
        back = self.at
        self.at += 1
        arguments = []
        for _ in range(count):
            argument = self._argument(run)
            if argument is None:
                self.at = back
                return None
            arguments.append(argument)
        return Call(name, arguments)

    def _root(self, run: Run) -> Operand | None:
        back = self.at
        self.at += 1
        degree: Operand = Number(Fraction(2), Fraction(1), whole=True)
        token = self._peek()
        if token is not None and token.kind is Kind.OPEN and token.text == "[":
            found = self._group(run)
            if found is None:
                self.at = back
                return None
            degree = found
            token = self._peek()
        inner = None
        if token is not None and token.kind is Kind.OPEN:
            inner = self._group(run)
        elif token is not None and token.kind is Kind.NUMBER:
            inner = self._number(run, token)
        if inner is None:
            self.at = back
            return None
        return Call("root", [inner, degree])

    def _postfix(self, run: Run, operand: Operand) -> Operand:
        while (token := self._peek()) is not None:
            if token.kind is Kind.PERCENT:
                self.at += 1
                run.end = token.end
                operand = self._percent(operand)
            elif token.kind is Kind.OPERATOR and token.text == "^":
                powered = self._power(run, operand)
                if powered is None:
                    run.unknown = True
                    self.at += 1
                    break
                operand = powered
            elif token.kind is Kind.BANG and token.start == run.end:
                following = self._peek(1)
                if self.ends if following is None else following.kind not in (Kind.OPERATOR, Kind.CLOSE, Kind.BANG):
                    run.doubtful("an exclamation mark may be a factorial")
                    break
                self.at += 1
                run.end = token.end
                operand = Call("factorial", [operand])
            else:
                break
        return operand

    def _percent(self, operand: Operand) -> Operand:
        if isinstance(operand, Number):
            operand.percent = True
            return operand
        return Call("percent", [operand])

    def _power(self, run: Run, operand: Operand) -> Operand | None:
        back = self.at
        self.at += 1
        token = self._peek()
        sign = token is not None and token.kind is Kind.OPERATOR and token.text == "-"
        if sign:
            self.at += 1
        exponent = self._primary(run)
        following = self._peek()
        if exponent is None or (isinstance(exponent, Number) and following is not None and following.text == "^"):
            self.at = back
            return None
        return Call("power", [operand, Call("negative", [exponent]) if sign else exponent])

    # between operands

    def _want_operator(self, run: Run) -> None:
        token = self.tokens[self.at]
        if token.kind is Kind.OPERATOR:
            self._operator(run, token)
        elif token.kind is Kind.OF:
            self._of(run, token)
        elif token.kind is Kind.WORD:
            self._word(run, token)
        elif token.kind is Kind.OPEN:
            self._bracket(run, token)
        elif token.kind is Kind.UNKNOWN:
            self._unknown(run, token)
        elif token.kind in _STARTS:
            self._adjacent(run, token)
        else:
            if token.kind is Kind.BANG:
                run.doubtful("an exclamation mark may be a factorial")
            self.at += 1

    def _operator(self, run: Run, token: Token) -> None:
        following = self._peek(1)
        if following is not None and following.kind in (Kind.WORD, Kind.UNKNOWN) and token.text == "/":
            touching = following.start == token.end
            if following.kind is Kind.WORD or (run.tail and touching):
                if not touching and following.text not in words.UNITS:
                    run.doubtful("a word stands in a quotient")
                run.tail.append("per")
                run.units.add(following.text)
                self.at += 2
                return
        if token.text == "-" and following is not None and following.kind is Kind.WORD and following.start == token.end and not token.spaced:
            run.tail.append(following.text)
            self.at += 2
            return
        if token.text == "^":
            self._unit_power(run)
            return
        if token.text == ":":
            run.doubtful("a ratio")
        self._sign_after_words(run, token)
        tight = token.text == "/" and not token.spaced and following is not None and not following.spaced and not run.tail
        run.items.append("⁄" if tight else "/" if token.text == ":" else token.text)
        run.tail = []
        self.at += 1

    def _sign_after_words(self, run: Run, token: Token) -> None:
        if len(run.tail) > 4:
            run.doubtful("many words stand between a number and its operator")

    def _unit_power(self, run: Run) -> None:
        if not run.tail:
            run.unknown = True
        self.at += 1
        token = self._peek()
        if token is not None and token.kind is Kind.OPEN and self.at in self.partner:
            self.at = self.partner[self.at] + 1
        else:
            self.at += 1

    def _of(self, run: Run, token: Token) -> None:
        ahead = 1
        while (word := self._peek(ahead)) is not None and word.kind is Kind.WORD and ahead < 4:
            ahead += 1
        last = run.items[-1]
        filler = all(self.tokens[self.at + i].text in words.FILLERS for i in range(1, ahead))
        if word is not None and word.kind in _STARTS and filler and not run.tail and _is_part(last, run.items):
            run.items.append("of")
            run.tail = []
            self.at += ahead
            return
        run.tail.append("of")
        self.at += 1

    def _word(self, run: Run, token: Token) -> None:
        text = token.text
        if text in words.STOPS:
            run.closed = True
            self._finish()
            self.prose = [text]
            self.at += 1
            return
        last = run.items[-1]
        if text in words.MULTIPLIERS and isinstance(last, Number):
            last.multiplier *= words.MULTIPLIERS[text]
            if last.multiplier > 10**15:
                last.multiplier = 10**15
            run.end = token.end
        run.tail.append(text)
        run.units.add(text)
        self.at += 1

    def _bracket(self, run: Run, token: Token) -> None:
        end = self.partner.get(self.at)
        if end is None:
            self.at += 1
            return
        inside = self.tokens[self.at + 1 : end]
        if not any(t.kind in (Kind.NUMBER, Kind.UNKNOWN) for t in inside):
            run.units.update(t.text for t in inside if t.kind is Kind.WORD)
            if not token.spaced and not run.tail:
                run.doubtful("words in brackets touch a number")
            self.at = end + 1
            return
        before, numbers, units, doubt = run.end, run.numbers, set(run.units), run.doubt
        group = self._group(run)
        worded = any(t.kind is Kind.WORD for t in inside)
        if isinstance(group, Group) and not worded and not run.tail:
            run.items += ["·", Group(group.items, remark=True)]
            return
        run.end, run.numbers, run.units, run.doubt = before, numbers, units, doubt
        self.at = end + 1
        if not worded and group is None and not run.tail:
            run.unknown = True
        else:
            run.doubtful("a remark with numbers stands in it")

    def _unknown(self, run: Run, token: Token) -> None:
        if run.tail and token.spaced and token.text not in ("...",):
            self.prose = list(run.tail)
            run.closed = True
            self._finish()
            return
        if token.text in words.LETTER_UNITS and not token.spaced:
            run.doubtful("a letter may be a unit or a name")
            run.tail.append(token.text)
        else:
            run.unknown = True
            run.end = token.end
        self.at += 1

    def _adjacent(self, run: Run, token: Token) -> None:
        """An operand without a sign before it: a product, or the start of another run."""
        if not run.tail and (token.kind in (Kind.ROOT, Kind.FRACTION, Kind.BINOMIAL) or token.text in ("pi", "frac")):
            run.items.append("·")
            return
        if not run.tail and self.at and self.tokens[self.at - 1].kind is Kind.CLOSE and token.start == self.tokens[self.at - 1].end:
            run.items.append("·")
            run.doubtful("a number touches a bracket")
            return
        self.prose = list(run.tail)
        run.closed = True
        self._finish()


def _partners(tokens: list[Token]) -> dict[int, int]:
    partner: dict[int, int] = {}
    stack: list[int] = []
    for index, token in enumerate(tokens):
        if token.kind is Kind.OPEN:
            stack.append(index)
        elif token.kind is Kind.CLOSE and stack:
            partner[stack.pop()] = index
    return partner


def _is_part(operand: Operand | str, items: list[Operand | str]) -> bool:
    """Whether *of* after it multiplies."""
    if len(items) > 1 and items[-2] in ("/", "⁄"):
        return True
    if isinstance(operand, Number):
        return operand.percent or operand.part or (isinstance(operand.value, Fraction) and 0 < operand.value < 1)
    if isinstance(operand, Call):
        return operand.name in ("frac", "percent", "mixed")
    if isinstance(operand, Group):
        return len(operand.items) == 3 and operand.items[1] in ("/", "⁄")
    return False


_UNKNOWN = Number(Fraction(0), Fraction(0), whole=True)
