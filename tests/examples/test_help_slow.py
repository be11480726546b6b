"""Every example says how it is used, and its README names what the script has."""

import re
import subprocess
import sys

import pytest

from .scripts import FOLDER

pytestmark = pytest.mark.slow

NAMES = ("energy_above_hull", "equation_of_state", "mixing_energy", "phonons", "torsion")


@pytest.mark.parametrize("name", NAMES)
def test_help_and_readme_agree(name):
    file = FOLDER / name / f"{name}.py"
    said = subprocess.run([sys.executable, str(file), "--help"], capture_output=True, text=True, check=True).stdout
    if name == "torsion":
        for task in ("profile", "rank"):
            words = [sys.executable, str(file), task, "--help"]
            said += subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert "usage:" in said
    readme = (FOLDER / name / "README.md").read_text()
    used = set(re.findall(r"--[a-z-]+", readme))
    assert used <= set(re.findall(r"--[a-z-]+", said))
    assert "E0" in readme
