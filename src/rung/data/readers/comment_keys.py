"""The keys of an extended XYZ comment line: each stands once, for a reader keeps the last of two without a word."""

import re

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
    for key in _CANDIDATE.findall(_bare(comment)):
        if key in seen:
            return str(key)
        seen.add(key)
    return None


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
