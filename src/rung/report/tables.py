"""Numbers and tables as people read them; everything that comes from a file is escaped here."""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from html import escape

ABSENT = "–"

_TAG = re.compile(r"<[^>]*>")
_HYPHEN = re.compile(r"(?<![\w.#-])-(?=\d)")

QUANTITIES: Mapping[str, tuple[str, str]] = {
    "energy_rmse": ("Energy error, r.m.s.", "meV/atom"),
    "energy_mae": ("Energy error, mean absolute", "meV/atom"),
    "energy_rmse_rel": ("Relative energy error, r.m.s.", "meV/atom"),
    "force_rmse": ("Force error, r.m.s.", "meV/Å"),
    "force_mae": ("Force error, mean absolute", "meV/Å"),
    "force_departure_rmse": ("Departure from the base's forces, r.m.s.", "meV/Å"),
    "stress_rmse": ("Stress error, r.m.s.", "meV/Å³"),
    "stress_mae": ("Stress error, mean absolute", "meV/Å³"),
    "energy_chi2": ("χ² of the energies", ""),
    "energy_z2": ("z² of the error bars", ""),
    "energy_crps": ("CRPS of the energies", "meV/atom"),
    "noise_floor": ("Noise of the labels", "meV/atom"),
    "barrier": ("Barrier", "eV"),
    "barrier_stderr": ("Error bar of the barrier, weights alone", "eV"),
    "barrier_stderr_total": ("Total error bar of the barrier", "eV"),
    "seconds": ("Time of the fit", "s"),
    "call_seconds_per_atom": ("Time of one call", "s/atom"),
    "step_zero_energy": ("Distance of the untrained start from the base, energies", "meV/atom"),
    "step_zero_force": ("Distance of the untrained start from the base, forces", "meV/Å"),
    "cost_ratio": ("A call, times the base's", ""),
    "low_energy_rmse": ("Energy error at the base's fidelity, r.m.s.", "meV/atom"),
    "low_energy_rmse_rel": ("Relative energy error at the base's fidelity, r.m.s.", "meV/atom"),
    "low_force_rmse": ("Force error at the base's fidelity, r.m.s.", "meV/Å"),
    "alpha": ("Width of the prior α", "eV/√atom"),
    "tau": ("Force band τ", "eV/Å"),
    "model_error": ("The model's own error s", "eV/√atom"),
    "leave_one_out_rmse": ("Leave-one-out error, r.m.s.", "eV"),
    "leave_one_out_z2": ("Leave-one-out z²", ""),
    "force_departure_rmse_meV_per_angstrom": ("Departure from the base's forces, r.m.s.", "meV/Å"),
    "log_evidence": ("Log evidence", ""),
}


SYMBOLS: Mapping[str, str] = {"alpha": "α", "random_alpha": "α′", "tau": "τ", "model_error": "s", "scale": "c"}
"""Hyper-parameters as the theory writes them."""


def quantity(name: str) -> tuple[str, str]:
    """Return the words and the unit of a metric; an unknown one keeps its name, barriers are in eV."""
    if name in QUANTITIES:
        return QUANTITIES[name]
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:], "eV" if "barrier" in name else ""


def digits(value: float | None, significant: int = 3) -> str:
    """Return ``value`` with three significant digits, or a dash where it is unknown."""
    if value is None or math.isnan(value):
        return ABSENT
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(float(f"{value:.{significant - 1}e}"))))
    if not -4 <= magnitude < 6:
        mantissa, exponent = f"{value:.{significant - 1}e}".split("e")
        return _minus(f"{mantissa}×10") + superscript(int(exponent))
    rounded = float(f"{value:.{significant - 1}e}")
    return _minus(f"{rounded:.{max(0, significant - 1 - magnitude)}f}")


def electronvolts(value: float | None, *, signed: bool = False) -> str:
    """Return an energy in eV to the meV, or a dash where it is unknown."""
    if value is None or not math.isfinite(value):
        return ABSENT
    rounded = round(value, 3) + 0.0  # minus nothing is nothing
    return _minus(f"{rounded:+.3f}" if signed else f"{rounded:.3f}")


def with_error(value: float | None, stderr: float | None, decimals: int | None = None) -> str:
    """Return ``value ± stderr`` with as many digits as the error allows, two of its own."""
    if value is None or not math.isfinite(value):
        return ABSENT
    if stderr is None or not math.isfinite(stderr) or stderr <= 0:
        return digits(value) if decimals is None else _minus(f"{value:.{decimals}f}")
    places = min(6, max(0, 1 - math.floor(math.log10(stderr)))) if decimals is None else decimals
    return _minus(f"{value:.{places}f} ± {stderr:.{places}f}")


def superscript(exponent: int) -> str:
    """Return an exponent as people write it: ⁻⁷."""
    return str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def cell(value: object) -> str:
    """Return any value from a file as escaped text, numbers with few digits."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return ABSENT
    if isinstance(value, float):
        return digits(value, 4)
    if isinstance(value, (list, tuple)):
        return ", ".join(cell(item) for item in value) or ABSENT
    return escape(str(value))


def table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, text: int | Collection[int] = 1, css: str = ""
) -> str:
    """Return an HTML table of cells that are escaped already.

    Parameters
    ----------
    text
        The columns that are words, by index, or how many there are at the left; the others are numbers, but for those
        whose cells all begin with a letter.
    """
    words = set(range(text) if isinstance(text, int) else text)
    words |= {index for index in range(len(header)) if _are_words([row[index] for row in rows])}
    kinds = ["" if index in words else ' class="number"' for index in range(len(header))]
    rows = [[entry if index in words else _minuses(entry) for index, entry in enumerate(row)] for row in rows]
    head = "".join(f"<th{kind}>{name}</th>" for kind, name in zip(kinds, header, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{kind}>{entry}</td>" for kind, entry in zip(kinds, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table class="{css}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _are_words(cells: Sequence[str]) -> bool:
    """Return whether some cells begin with a letter, and all others say nothing."""
    plain = [_TAG.sub("", entry).strip() for entry in cells]
    told = [entry for entry in plain if entry not in ("", ABSENT)]
    return bool(told) and all(entry[0].isalpha() for entry in told)


def _minuses(entry: str) -> str:
    """Return the text of a cell with the signs of numbers as people write them."""
    return _HYPHEN.sub("−", entry)


def capital(heading: str) -> str:
    """Return a heading that begins with a capital letter."""
    return heading[:1].upper() + heading[1:]


def records(rows: Sequence[Mapping[str, object]]) -> str:
    """Return a table of mappings: one column for each key that occurs, in order of appearance."""
    names = list(dict.fromkeys(str(name) for row in rows for name in row))
    if not names:
        return ""
    words = [index for index, name in enumerate(names) if any(isinstance(row.get(name), (str, list)) for row in rows)]
    header = [escape(name.replace("_", " ")) for name in names]
    return table(header, [[cell(row.get(name)) for name in names] for row in rows], text=words)


def pairs(values: Mapping[str, object]) -> str:
    """Return a two-column list of a nested mapping, inner keys joined by dots."""
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{cell(value)}</dd>" for name, value in _flatten(values))
    return f"<dl>{rows}</dl>" if rows else ""


def _flatten(values: Mapping[str, object], prefix: str = "") -> list[tuple[str, object]]:
    leaves: list[tuple[str, object]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            leaves += _flatten(value, f"{prefix}{name}.")
        else:
            leaves.append((f"{prefix}{name}", value))
    return leaves


def _minus(text: str) -> str:
    return text.replace("-", "−")
