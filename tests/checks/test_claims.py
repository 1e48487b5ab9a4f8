from toolwright.checks import find_claims, refuted_claims


def test_a_false_statement_is_refuted_with_its_place_and_value():
    text = "He has 5 + 3 = 9 apples."
    (claim,) = refuted_claims(text)
    assert (claim.text, claim.expected) == ("5 + 3 = 9", "8")
    assert text[claim.start : claim.end] == claim.text


def test_a_true_statement_is_true():
    assert [claim.verdict for claim in find_claims("He has 5 + 3 = 8 apples.")] == [True]
