"""What the environment of SevenNet is: without MACE, which is named where a file of it is opened."""

import subprocess
import sys
from pathlib import Path

import pytest

import rung
from rung.backends import load_base
from rung.errors import MissingExtraError

BASE = Path(rung.__file__).parent / "demo_data" / "mos2" / "base.model"


def test_mace_is_missed_by_its_extra() -> None:
    with pytest.raises(MissingExtraError, match=r"rung\[mace\]"):
        load_base(BASE, fidelity="low")


def test_a_sevennet_base_imports_nothing_of_mace_and_runs_nothing_unsafe(one_modality: Path) -> None:
    """Nor does it change torch's default type, or how safe torch.load is."""
    code = (
        "import os, sys, torch\n"
        "from rung.backends import load_base, export\n"
        f"potential = load_base({str(one_modality)!r}, fidelity='low')\n"
        "assert 'sevenn' in sys.modules and 'mace' not in sys.modules\n"
        "assert torch.get_default_dtype() == torch.float32\n"
        "assert 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD' not in os.environ\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_files_and_settings_are_asked_for_without_the_engine(one_modality: Path) -> None:
    """To tell a file, to describe it and to name blocks takes no engine."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom rung.backends import describe\n"
        "from rung.backends.registry import backends, detect\n"
        f"path = Path({str(one_modality)!r})\n"
        "assert detect(path).name == 'sevenn' and describe(path).backend == 'sevenn'\n"
        "assert 'last_layer' in backends()['sevenn'].blocks\n"
        "assert not {'sevenn', 'e3nn', 'mace'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
