"""The keys of an extended XYZ comment line: each stands once, and no quote hides one.

A reader keeps the last of two keys without a word, and takes all that follows an open quote for one value.
"""

import re
from typing import Any

import numpy as np
from ase.io.extxyz import SPECIAL_3_3_KEYS, UNPROCESSED_KEYS, key_val_str_to_dict

_WHOLE = re.compile(r'(?<==)"[^"\\]*"(?=\s|$)')
_DELIMITER = re.compile(r"[\"'{}\[\]\\]")
_CANDIDATE = re.compile(r"(?<![^\s=\"'{}\[\]])([^\s=\"'{}\[\]]++)\s*+=")
_PAIR = re.compile(r"([^\s=\"'{}\[\]\\]++)=(?:\"([^\"\\]*+)\"|([^\s=\"'{}\[\]\\]++))(?:\s++|$)")
_WHOLE_NUMBER = re.compile(r"[-+]?[0-9]{1,18}")
_REAL_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]{1,3})?")
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


def candidates(comment: str) -> list[str]:
    """Return all that may be a key of a comment line: its keys, and what stands before a sign in a quote."""
    return [str(key) for key in _CANDIDATE.findall(comment)]


def plain_pairs(comment: str) -> dict[str, Any] | None:
    """Return keys and values of a plain comment line as ASE does, but quickly; None where ASE must read it.

    Plain is a line of ``key=word`` and ``key="words"``: no brackets, no backslashes, no key without a value. What is
    not one number is left to :func:`ase.io.extxyz.key_val_str_to_dict`, which walks from letter to letter.
    """
    pairs: dict[str, Any] = {}
    place = 0
    while place < len(comment):
        pair = _PAIR.match(comment, place)
        if pair is None:
            return None
        place = pair.end()
        key, quoted, word = pair.groups()
        text = quoted if word is None else word
        is_plain = key.lower() not in UNPROCESSED_KEYS and key not in SPECIAL_3_3_KEYS
        if is_plain and _WHOLE_NUMBER.fullmatch(text):
            pairs[key] = np.int64(int(text))
        elif is_plain and _REAL_NUMBER.fullmatch(text):
            pairs[key] = np.float64(float(text))
        else:
            pairs.update(key_val_str_to_dict(f'{key}="{text}"'))
    return pairs


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
