"""Where statements begin and end: a text cut at sentence ends, commas and brackets, into sides and relations.

A bracket that holds a statement of its own is read apart; a bracket without its partner cuts. Left out: what the sides say (`_claim_grammar`).
"""

from __future__ import annotations

import itertools

from toolwright.checks._claim_grammar import MAX_DEPTH, Side
from toolwright.checks._claim_tokens import Kind, Token
from toolwright.checks._claim_types import Statement


def statements(tokens: list[Token]) -> list[Statement]:
    """Every stretch of the text that holds a relation."""
    found = []
    work = [(segment, 0) for segment in reversed(_segments(tokens))]
    while work:
        segment, depth = work.pop()
        pieces, inner = _balance(segment)
        if depth < MAX_DEPTH:
            work.extend((group, depth + 1) for group in reversed(inner))
        for piece, piece_cut in pieces:
            relations = [i for i, token in enumerate(piece) if token.kind is Kind.RELATION]
            if relations:
                found.append(_statement(piece, relations, piece_cut))
    return found


def _segments(tokens: list[Token]) -> list[list[Token]]:
    """The text cut at sentence ends and commas; a line end cuts unless a relation stands beside it."""
    segments: list[list[Token]] = []
    current: list[Token] = []
    for index, token in enumerate(tokens):
        if token.kind is Kind.MARK:
            continue
        if token.kind is Kind.LINE:
            after = index + 1
            while after < len(tokens) and tokens[after].kind is Kind.LINE and after < index + 8:
                after += 1
            following = tokens[after] if after < len(tokens) else token
            joined = following.text == "pi" or (following.kind is Kind.OPERATOR and following.text in "+*/")
            if current and joined and token.text != "display":
                continue
            goes_on = after < len(tokens) and tokens[after].kind is Kind.RELATION and tokens[after].text != "is"
            if goes_on or (current and current[-1].kind in (Kind.RELATION, Kind.OPERATOR)):
                continue
        if token.kind in (Kind.BREAK, Kind.LINE):
            if current:
                segments.append(current)
            current = []
        else:
            current.append(token)
    if current:
        segments.append(current)
    return segments


def _balance(segment: list[Token]) -> tuple[list[tuple[list[Token], bool]], list[list[Token]]]:
    """The segment without unmatched brackets (which cut it) and without bracketed statements (given back apart)."""
    partner: dict[int, int] = {}
    stack: list[int] = []
    for index, token in enumerate(segment):
        if token.kind is Kind.OPEN:
            stack.append(index)
        elif token.kind is Kind.CLOSE and stack and segment[stack[-1]].text + token.text in ("()", "[]", "{}"):
            partner[stack.pop()] = index
    closers = set(partner.values())
    pieces: list[tuple[list[Token], bool]] = []
    inner: list[list[Token]] = []
    current: list[Token] = []
    relations = [0]
    cut = False
    for token in segment:
        relations.append(relations[-1] + (token.kind is Kind.RELATION))
    index = 0
    while index < len(segment):
        token = segment[index]
        if index in partner and relations[partner[index]] > relations[index]:
            end = partner[index]
            inner.append(segment[index + 1 : end])
            current.append(Token(Kind.WORD, "()", token.start, segment[end].end))
            index = end
        elif (token.kind is Kind.OPEN and index not in partner) or (token.kind is Kind.CLOSE and index not in closers):
            pieces.append((current, cut))
            current, cut = [], token.kind is Kind.CLOSE or (index > 0 and segment[index - 1].kind in (Kind.UNKNOWN, Kind.OPERATOR))
        else:
            current.append(token)
        index += 1
    pieces.append((current, cut))
    return pieces, inner


def _statement(piece: list[Token], relations: list[int], cut: bool) -> Statement:
    edges = [-1, *relations, len(piece)]
    sides = []
    for number, (left, right) in enumerate(itertools.pairwise(edges)):
        side = Side(piece[left + 1 : right], opens=number == 0, cut=cut and number == 0, ends=number == len(relations))
        sides.append(side.read())
    return Statement(sides, [piece[i] for i in relations])
