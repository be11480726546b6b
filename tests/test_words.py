"""The documentation is written in sentences that a reader can follow whose third language English may be.

What is counted is prose. Fenced and indented code, tables, headings, comments and included files are not. A list item
stands by itself; a link counts as its text; a piece of code or a formula counts as one word.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import pytest

ROOT = Path(__file__).parents[1]
HOW_TOS = sorted((ROOT / "docs" / "how-to").glob("*.md"))
RESULTS = [ROOT / "docs" / "results.md", *sorted((ROOT / "docs" / "results").glob("*.md"))]
NOT_YET = {ROOT / "docs" / "files.md"}
"""Pages that still hold longer sentences."""
PAGES = [
    ROOT / "README.md",
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if page not in NOT_YET),
    *sorted((ROOT / "examples").rglob("README.md")),
    *sorted((ROOT / "benchmarks").rglob("README.md")),
]
LONGEST_SENTENCE = 35
"""Words that one sentence may have."""

COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>```+|~~~+).*?^(?P=indent)(?P=ticks)[ ]*$", re.MULTILINE | re.DOTALL)
ITEM = re.compile(r"^ *(?:[-*+]|\d+[.)])\s+")
ADMONITION = re.compile(r'^ *(?:!!!|\?\?\?\+?) +\w+ *(?:"[^"]*")? *$')
NO_PROSE = re.compile(r"^ *(?:#|\||--8<--|:::|---+ *$|\[[^\]]+\]: )")
CODE = re.compile(r"(`+)(?P<code>.+?)\1", re.DOTALL)
LINK = re.compile(r"!?\[(?P<text>[^\]]*)\]\([^)]*\)")
FORMULA = re.compile(r"[^\S\n]*(?:[=±×·~≈∝<>≤≥→←+−/]|(?<=\s)-(?=\s))[^\S\n]*")
END = re.compile(r"[.!?…]['\"”’)*_\]]*(?=\s)")
ABBREVIATIONS = {
    "J.", "al.", "appl.", "approx.", "cf.", "chem.", "comput.", "ed.", "eq.", "eqs.", "fig.", "figs.", "geol.", "math.",
    "phys.", "ref.", "refs.", "res.", "sec.", "vs.",
}  # fmt: skip
DOTTED = re.compile(r"(?:[A-Za-z]\.){2,}")
"""What is abbreviated letter by letter: "e.g.", "r.m.s.". One letter may end a sentence: "at all x."."""


@dataclass(frozen=True)
class Sentence:
    """One sentence of a page, without its markup."""

    page: Path
    line: int
    text: str

    @property
    def words(self) -> int:
        """Return how many words it has; a formula is one."""
        return sum(any(letter.isalnum() for letter in word) for word in FORMULA.sub("=", self.text).split())

    def __str__(self) -> str:
        """Return where it stands and what it says."""
        page = self.page.relative_to(ROOT) if self.page.is_relative_to(ROOT) else self.page
        return f"{page}:{self.line}: {self.words} words: {self.text}"


def blank(match: re.Match[str]) -> str:
    """Return as many empty lines as the match has, so that line numbers stay."""
    return "\n" * match[0].count("\n")


def code_word(match: re.Match[str]) -> str:
    return "\n" * match["code"].count("\n") + "code"  # the lines of a page keep their numbers


def paragraphs(text: str) -> Iterator[tuple[int, str]]:
    """Yield each paragraph and list item of a page, with the number of its first line."""
    lines: list[str] = []
    start = 0
    inside = False  # a list or an admonition, whose further paragraphs are indented
    blank_before = True
    for number, line in enumerate([*FENCE.sub(blank, COMMENT.sub(blank, text)).splitlines(), ""], start=1):
        item = ITEM.match(line)
        code = line.startswith("    ") and blank_before and not inside
        if not line.strip() or item or code or NO_PROSE.match(line) or ADMONITION.match(line):
            if lines:
                yield start, "\n".join(lines)
            lines = []
        if item or ADMONITION.match(line):
            inside = True
        elif line.strip() and not line.startswith(" ") and blank_before:
            inside = False
        if line.strip() and not code and not NO_PROSE.match(line) and not ADMONITION.match(line):
            start = start if lines else number
            lines.append(line[item.end() :] if item else line)
        blank_before = not line.strip() or (code and blank_before)


def abbreviated(word: str) -> bool:
    return not ABBREVIATIONS.isdisjoint({word, word.lower()}) or DOTTED.fullmatch(word) is not None


def sentences(page: Path, text: str) -> Iterator[Sentence]:
    """Yield the sentences of a page's prose."""
    for first_line, paragraph in paragraphs(text):
        plain = LINK.sub(lambda link: link["text"], CODE.sub(code_word, paragraph)).replace("**", "") + "\n"
        start = 0
        for end in [match.end() for match in END.finditer(plain)] + [len(plain)]:
            last_word = plain[start:end].split()[-1:]
            word = last_word[0].lstrip("([\"'*_“") if last_word else ""
            if end < len(plain.rstrip()) and abbreviated(word):
                continue
            sentence = plain[start:end]
            if any(letter.isalnum() for letter in sentence):
                indent = len(sentence) - len(sentence.lstrip())
                line = first_line + plain[: start + indent].count("\n")
                yield Sentence(page, line, " ".join(sentence.split()))
            start = end


def sentences_of(page: Path) -> list[Sentence]:
    return list(sentences(page, page.read_text()))


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_no_sentence_is_too_long(page: Path) -> None:
    long = [str(sentence) for sentence in sentences_of(page) if sentence.words > LONGEST_SENTENCE]
    assert not long, f"Split these sentences; {LONGEST_SENTENCE} words are the most:\n" + "\n".join(long)


@pytest.mark.parametrize(
    ("page", "most"),
    [*((page, 22.0) for page in RESULTS), *((page, 20.0) for page in HOW_TOS)],
    ids=lambda value: value.name if isinstance(value, Path) else f"{value:.0f}",
)
def test_sentences_are_short_on_average(page: Path, most: float) -> None:
    average = mean(sentence.words for sentence in sentences_of(page))
    assert average < most, f"{page_id(page)} has {average:.1f} words a sentence; {most:.0f} are the most"


@pytest.mark.parametrize("page", sorted(NOT_YET), ids=page_id)
def test_a_page_is_excepted_only_while_it_needs_it(page: Path) -> None:
    assert any(sentence.words > LONGEST_SENTENCE for sentence in sentences_of(page)), (
        f"{page_id(page)} may leave NOT_YET"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One ends. Another\nbegins. 12 eV is a third.", ["One ends.", "Another begins.", "12 eV is a third."]),
        ("It is 1.5 eV (e.g. Fig. 2 of Kim et al.). Next.", ["It is 1.5 eV (e.g. Fig. 2 of Kim et al.).", "Next."]),
        ("In J. Chem. Phys. 129, 124105. Next.", ["In J. Chem. Phys. 129, 124105.", "Next."]),
        ("The r.m.s. error falls at all x. So does s.", ["The r.m.s. error falls at all x.", "So does s."]),
        ("**Bold.** Then *this.* [See it](https://a.b/c. d). End", ["Bold.", "Then *this.*", "See it.", "End"]),
        ("Call `a.b. C()` or\n`x\ny`. Stop.", ["Call code or code.", "Stop."]),
        ("A lead:\n\n- one item\n  goes on\n- another\n\n  with more.\n\nAfter.",
         ["A lead:", "one item goes on", "another", "with more.", "After."]),
        ("1. first\n2) second", ["first", "second"]),
        ("# Title. Two\n| a. B | c |\n|---|---|\n--8<-- \"x.md\"\n::: module\n", []),
        ("Before.\n\n    code. Of a shell\n\n    more. code\n\nAfter.", ["Before.", "After."]),
        ("Before\n<!-- a. Comment -->\n```sh\nrung fit. It\n```\nafter.", ["Before", "after."]),
        ("!!! warning \"Labels\"\n    Inside. Twice.\n\nOut.", ["Inside.", "Twice.", "Out."]),
    ],
)  # fmt: skip
def test_prose_is_told_from_the_rest(text: str, expected: list[str]) -> None:
    assert [sentence.text for sentence in sentences(ROOT / "page.md", text)] == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The error is 0.59 ± 0.05 of that.", 6),
        ("With d = w − w_base the fit ends.", 5),
        ("PM6 → DFT takes 3 × 10⁻⁴ s – or less, 48 % of it.", 9),
        ("`rung fit config.yaml --new` resumes", 2),
    ],
)
def test_a_formula_is_one_word(text: str, words: int) -> None:
    assert [sentence.words for sentence in sentences(ROOT / "page.md", text)] == [words]


def test_a_long_sentence_is_named_with_its_page_and_line() -> None:
    long = " ".join(["word"] * (LONGEST_SENTENCE + 1))
    page = f"# Title\n\nA short one.\nThen {long}\nand on. Short again.\n"
    (too_long,) = (one for one in sentences(ROOT / "page.md", page) if one.words > LONGEST_SENTENCE)
    assert str(too_long) == f"page.md:4: 39 words: Then {long} and on."
