"""Every example says how it is used, and its README names what the script has."""

import re
import subprocess
import sys

import pytest

from tests.examples.scripts import FOLDER

pytestmark = pytest.mark.slow

OPTION = re.compile(r"--[a-z][a-z-]*")  # and no rule of a table
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
    used = set(OPTION.findall(readme))
    assert used <= set(OPTION.findall(said))
    assert "E0" in readme
