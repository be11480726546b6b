"""The keys of an extended XYZ comment line: each stands once, and no quote hides one.

A reader keeps the last of two keys without a word, and takes all that follows an open quote for one value.
"""

import re

_WHOLE = re.compile(r'(?<==)"[^"\\]*"(?=\s|$)')
_DELIMITER = re.compile(r"[\"'{}\[\]\\]")
_CANDIDATE = re.compile(r"([^\s=\"'{}\[\]]+)\s*=")
_CLOSING = {"'": "'", '"': '"', "{": "}", "[": "]"}


def key_twice(comment: str) -> str | None:
    """Return the first key that stands twice; None where there is none.

    Text in quotes or brackets has no keys, as in ASE's manual of ``ase.io.extxyz``.
    """
    candidates = _CANDIDATE.findall(comment)
    if len(set(candidates)) == len(candidates):
        return None
    seen: set[str] = set()
    for key in keys_in(comment):
        if key in seen:
            return key
        seen.add(key)
    return None


def keys_in(comment: str) -> list[str]:
    """Return the keys of a comment line in their order; text in quotes or brackets has none."""
    return [str(key) for key in _CANDIDATE.findall(_bare(comment))]


def open_quote(comment: str) -> str | None:
    """Return the text from a quote or bracket on that hides keys: it never closes, or opens or closes within a word.

    An apostrophe, as in ``note=it's``, opens a quote too: the next one closes it, and keys between them are lost.
    None where there is no such place.
    """
    if not _DELIMITER.search(_WHOLE.sub("", comment)):
        return None
    closing, start, escaped = "", 0, False
    for place, letter in enumerate(comment):
        if escaped or letter == "\\":
            escaped = not escaped
        elif not closing:
            closing, start = _CLOSING.get(letter, ""), place
        elif letter == closing:
            closing = ""
            opens_late = start > 0 and not (comment[start - 1].isspace() or comment[start - 1] in "=,")
            closes_early = place + 1 < len(comment) and not comment[place + 1].isspace()
            if (opens_late or closes_early) and "=" in comment[start:place]:
                return comment[start:]
    return comment[start:] if closing else None


def _bare(comment: str) -> str:
    """Return the line with an x for each character in quotes or brackets, or behind a backslash."""
    bare: list[str] = []
    closing, escaped = "", False
    for letter in comment:
        hidden = escaped or (bool(closing) and letter != closing)
        bare.append("x" if hidden else letter)
        if escaped:
            escaped = False
        elif letter == "\\":
            escaped = True
        elif closing:
            closing = "" if letter == closing else closing
        else:
            closing = _CLOSING.get(letter, "")
    return "".join(bare)
