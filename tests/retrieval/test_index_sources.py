"""Folders of text and Markdown as passages."""

from __future__ import annotations

import pytest

from toolwright.errors import UsageError
from toolwright.retrieval import build_index, read_passages
from toolwright.retrieval._sources import PASSAGE_CHARACTERS

PAGE = """\
Before any heading.

# Birds #

About birds.

## Owls

They hunt.

```sh
# not a heading
```

## Crows

They count.

# Fish
They swim.
"""


def test_markdown_is_cut_at_its_headings(tmp_path):
    (tmp_path / "page.md").write_text(PAGE)
    found = [passage for _, passage in read_passages(tmp_path / "page.md")]
    assert [(p.id, p.title) for p in found] == [
        ("page.md", "page"),
        ("page.md#2", "Birds"),
        ("page.md#3", "Birds › Owls"),
        ("page.md#4", "Birds › Crows"),
        ("page.md#5", "Fish"),
    ]
    assert found[2].text == "They hunt.\n\n```sh\n# not a heading\n```" and found[4].text == "They swim."


def test_paragraphs_are_packed_and_long_ones_cut_and_nothing_is_lost(tmp_path):
    paragraphs = [f"Paragraph {i}. " + "Some words stand here. " * (i % 7) for i in range(60)] + ["A very long one. " * 400, "x" * 3000]
    (tmp_path / "a_long_text.txt").write_text("\r\n\r\n".join(paragraphs))
    found = [passage for _, passage in read_passages(tmp_path)]
    assert max(len(p.text) for p in found) <= PASSAGE_CHARACTERS
    assert {p.title for p in found} == {"a long text"} and len({p.id for p in found}) == len(found)
    assert "".join("".join(p.text for p in found).split()) == "".join("".join(paragraphs).split())


def test_folders_are_read_in_order_and_hidden_or_other_files_passed_over(tmp_path):
    for name in ("b/two.TXT", "a.md", ".git/x.md", "b/.hidden.txt", "c.pdf", "empty.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("" if name == "empty.txt" else f"text of {name}")
    assert [name for name, _ in read_passages(tmp_path)] == ["a.md", "b/two.TXT"]
    facts = build_index(tmp_path, tmp_path / "out.index")
    assert (facts.files, facts.passages) == (2, 2)


def test_what_cannot_be_read_is_told(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="empty holds no passage; give a folder"):
        build_index(tmp_path / "empty", tmp_path / "i.index")
    (tmp_path / "latin.txt").write_bytes("Köln".encode("latin-1"))
    with pytest.raises(UsageError, match=r"latin\.txt is not UTF-8"):
        list(read_passages(tmp_path))
    (tmp_path / "c.pdf").write_bytes(b"%PDF")
    with pytest.raises(UsageError, match=r"c\.pdf is neither a folder nor a file that ends in \.jsonl"):
        list(read_passages(tmp_path / "c.pdf"))
    with pytest.raises(UsageError, match="nothing at"):
        list(read_passages(tmp_path / "none"))
