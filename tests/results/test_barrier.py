"""A barrier's panels: written, read back, and refused where a curve does not fit itself."""

from pathlib import Path

import numpy as np
import pytest

from rung.errors import StorageError
from rung.results.barrier import BarrierEntry, Curve, Panel, read_panels, write_panels
from rung.storage import read_json

PANEL = Panel(
    title="Hop",
    curves=(Curve(name="lifted", coordinate=np.array([0.0, 1.5]), energies=np.array([0.0, np.nan])),),
    barriers=(BarrierEntry(name="lifted", value=np.nan), BarrierEntry(name="truth", value=1.2)),
)


def test_panels_are_read_back_and_absent_keys_stay_absent(tmp_path: Path) -> None:
    write_panels(tmp_path / "barrier.json", [PANEL])
    assert read_json(tmp_path / "barrier.json") == [
        {
            "title": "Hop",
            "curves": [{"name": "lifted", "coordinate": [0.0, 1.5], "energies": [0.0, None]}],
            "barriers": [{"name": "lifted", "value": None}, {"name": "truth", "value": 1.2}],
        }
    ]
    (panel,) = read_panels(tmp_path / "barrier.json")
    assert panel.by_name["truth"].value == 1.2
    assert np.isnan([panel.by_name["lifted"].value, panel.by_name["truth"].stderr, panel.curves[0].energies[1]]).all()


@pytest.mark.parametrize("name", ["coordinate", "stderr", "stderr_total"])
def test_a_curve_has_one_number_an_image(tmp_path: Path, name: str) -> None:
    (tmp_path / "barrier.json").write_text(
        f'[{{"title": "", "barriers": [], "curves": [{{"name": "x", "energies": [0, 1], "{name}": [1]}}]}}]'
    )
    with pytest.raises(StorageError, match=rf"damaged at '0\.curves\.0' \({name} has 1 number for 2 energies\)"):
        read_panels(tmp_path / "barrier.json")
