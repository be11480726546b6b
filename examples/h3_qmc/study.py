"""The whole study but the labels: a PBE base, lifts with few DMC energies, barriers, tables and a picture.

python examples/h3_qmc/study.py [FOLDER] [--draws 5] [--write docs/results]
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import yaml
from lifts import CHEAP, CHECK, METHODS, NUMBERS, TARGET, Frames, judged, lifted, only, scores
from pictures import Profiles, draw_all
from tables import write_barriers, write_course, write_tables

from rung import RungCalculator, read_structures, run_fit, write_structures
from rung.campaign import CampaignConfig, run_campaign
from rung.config import RunConfig
from rung.demo.configs import H3_BASE, H3_LIFT
from rung.demo.exchange import exchange_files
from rung.demo_data import folder as demo_folder
from rung.results.campaign import CampaignResult

HERE = Path(__file__).parent
LIFTS = {TARGET: "lifts-dmc", CHECK: "lifts-ccsdt"}
"""The table of each target."""
SHOWN = ("readout", 40, 0)
"""The fit of the picture: method, number of energies, draw."""


def base_of(frames: Frames, folder: Path) -> Path:
    """Train the base on PBE energies and forces, once; return its file."""
    only_cheap = {name: folder / f"{name}.extxyz" for name in ("learnt", "test")}
    for name, path in only_cheap.items():
        if not path.exists():
            members = getattr(frames, name)
            write_structures(path, [only(one, CHEAP) for one in members])
    config = {
        **H3_BASE,
        "run": folder / "base",
        "data": {"train": only_cheap["learnt"], "evaluate": {"test": only_cheap["test"]}},
    }
    return run_fit(RunConfig.read(config).resolved(Path.cwd())).folder.model


def config_of(base: Path, folder: Path, target: str) -> RunConfig:
    """Return the config of a lift, but for its method and its labels."""
    told = {
        **H3_LIFT,
        "fidelities": {**H3_LIFT["fidelities"], CHECK: {"level_of_theory": "UCCSD(T), ccECP, ccecp-ccpvtz"}},
        "target": target,
        "run": folder / "lift",
        "base": {"file": base, "fidelity": CHEAP},
        "data": {"train": folder / "learnt.extxyz"},
        "cache": folder / "cache",
    }
    return RunConfig.read(told).resolved(Path.cwd())


def rows_of(
    frames: Frames, base: Path, folder: Path, target: str, draws: int, methods: list[str]
) -> list[dict[str, Any]]:
    """Fit and judge each method with each number of energies of each draw; what was done before is read."""
    file = folder / f"rows-{target}.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    done = {(row["method"], row["number"], row["draw"]) for row in rows}
    config = config_of(base, folder, target)
    asked = [(method, number, draw) for draw in range(draws) for number in NUMBERS for method in methods]
    asked += [(method, len(frames.pool), 0) for method in methods]
    for method, number, draw in asked:
        if (method, number, draw) in done:
            continue
        train, rest = frames.drawn(number, draw, target)
        started = time.process_time()
        calculator = lifted(config, train, method, folder / "lift" / f"{target}-{method}-{number}-{draw}")
        seconds = time.process_time() - started
        row = {"method": method, "number": number, "draw": draw, "seconds": seconds}
        rows.append(row | scores(calculator, frames, rest, target))
        with file.open("a") as stream:
            stream.write(json.dumps(rows[-1]) + "\n")
        print(f"{method}, {number} energies of {target}, draw {draw}: saddle {rows[-1]['saddle']:.3f} eV", flush=True)
    return rows


def course(base: Path, folder: Path, data: Path) -> CampaignResult:
    """Return the course of ``campaign.yaml`` on this base: from no label of DMC to the barrier."""
    files = exchange_files(data, folder)
    told = yaml.safe_load((HERE / "campaign.yaml").read_text())
    ends = {name: files[name] for name in ("initial", "final", "guess")}
    told |= {"run": folder / "campaign", "base": {"file": base, "fidelity": CHEAP}, "data": {"train": files["pool"]}}
    told["questions"]["exchange"] |= ends
    told["engine"]["files"] = [data / "frames.extxyz"]
    config = CampaignConfig.read(told).resolved(HERE)
    return run_campaign(config).result


def shown_profiles(frames: Frames, base: Path, folder: Path) -> tuple[Profiles, str]:
    """Return the profiles of the base and of the lift that the pictures show, and what that lift is."""
    method, number, draw = SHOWN
    train, _ = frames.drawn(number, draw, TARGET)
    calculator = lifted(config_of(base, folder, TARGET), train, method, folder / "lift" / "shown")
    title = f"{method}, {number} DMC energies, none of the path"
    return Profiles.of(frames, RungCalculator(base, fidelity=CHEAP), calculator), title


def table_file(options: argparse.Namespace, name: str) -> Path:
    """Return where a table goes: a file of the folder, or a part of the page."""
    return options.folder / f"h3-{name}.md" if options.write is None else options.write / f"h3.md#{name}"


def main() -> None:
    """Do the study."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("h3_qmc"))
    parser.add_argument("--data", type=Path, default=demo_folder("h3"), help="folder of frames.extxyz and saddles.json")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--dmc-alone", action="store_true", help="no lifts to UCCSD(T)")
    parser.add_argument("--write", type=Path, help="the folder of h3.md, for tables and pictures")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    frames = Frames.of(read_structures(options.data / "frames.extxyz"))
    base = base_of(frames, options.folder)
    potential = RungCalculator(base, fidelity=CHEAP)
    judgements = {}
    for target in (TARGET,) if options.dmc_alone else (TARGET, CHECK):
        row = scores(potential, frames, (*frames.pool, *frames.path), target)
        rows = rows_of(frames, base, options.folder, target, options.draws, options.methods)
        judgements[target] = judged(row, frames), [judged(row, frames) for row in rows]
        (options.folder / f"scores-{target}.json").write_text(json.dumps(judgements[target][1]))
        write_tables(*judgements[target], target, table_file(options, LIFTS[target]))
    before, rows = judgements[TARGET]
    write_course(course(base, options.folder, options.data), table_file(options, "campaign"))
    (shown,) = (row for row in rows if (row["method"], row["number"], row["draw"]) == SHOWN)
    write_barriers(frames, options.data, before, shown, table_file(options, "barriers"))
    table = (table_file(options, LIFTS[TARGET]) if options.write is None else options.write / "h3.md").read_text()
    draw_all(*shown_profiles(frames, base, options.folder), table, options.write or options.folder)


if __name__ == "__main__":
    main()
