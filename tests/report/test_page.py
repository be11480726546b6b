import json
import re
import shutil
import sys
from html.parser import HTMLParser

import pytest

from rung.doctor.findings import finding
from rung.errors import MissingExtraError, StorageError
from rung.evaluate.error_bars import Bar
from rung.evaluate.paths.barrier import static_barrier
from rung.report import damage_of_page, write_report, write_study_report
from rung.results.barrier import Panel, write_panels
from rung.results.findings import CensusRow, Diagnosis
from rung.results.study import StudyRow, StudySummary, write_rows
from rung.storage import DamagedFileWarning, read_json, write_json, write_text
from tests.evaluate.paths.wells import DoubleWell, at
from tests.report.folders import run_folder, study_folder

VOID = {"meta", "br", "link", "img", "hr", "input"}


class Page(HTMLParser):
    """What a browser would see: tags in balance, words outside scripts, links."""

    def __init__(self, text):
        super().__init__()
        self.open, self.words, self.links, self.scripts, self.headings = [], [], [], 0, []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.scripts += tag == "script"
        self.links += [value for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.words.append(data)
            if self.open[-1] in ("h1", "h2", "h3"):
                self.headings.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    run_folder(folder)
    return folder, write_report(folder).read_text()


@pytest.fixture
def run(tmp_path):
    run_folder(tmp_path)
    return tmp_path


def page_of(folder):
    return Page(write_report(folder).read_text())


def test_the_page_is_whole_and_needs_no_network(whole):
    folder, text = whole
    page = Page(text)
    assert all(link.startswith("#section-") for link in page.links)
    assert text.count('id="library-plotly"') == 1
    assert page.headings[0] == "Lifted to r2scan by the method readout"
    figures = len(set(re.findall(r'id="(figure-\d+)"', text)))
    assert figures == 1 + 4 + 2 + 1 + 3 + 1 + 3  # barrier, parity, calibration, elements, kinds, band, what was chosen
    assert sorted(folder.glob(".*")) == []


def test_numbers_of_the_files_are_on_the_page(whole):
    text = Page(whole[1]).text
    errors = read_json(whole[0] / "metrics.json")["splits"]["test"]["r2scan"]
    assert f"falls from 18.1 (base) to {errors['energy_rmse']:.2f} meV/atom" in text
    assert f"falls from 494 (base) to {errors['force_rmse']:.0f} meV/Å" in text
    assert "readout gives 1.405 ± 0.090 eV, base 0.894; truth 1.454 eV, 0.54 error bars away" in text
    assert "Labels come from pretrained potentials, not from ab initio calculations." in text
    assert "The band forbids half of the change" in text
    assert "0f0f0f0f" in text
    assert "No stress labels of r2scan." in text
    assert "neb-3 less neb-0 0.894 0.120 ± 0.310 0.610 0.550" in text


def test_unknown_forces_are_a_departure_and_never_an_error(whole):
    text = Page(whole[1]).text
    assert "Target forces are not known on ood: its forces departed from the base's by" in text
    assert "On ood, the energy error" in text
    assert "There, the force error" in text.split("On ood")[0]
    assert "force error" not in text.split("On ood")[1].split("Vacancy hop")[0]


def test_equal_files_make_equal_pages(whole):
    library = re.compile(r'<script type="text/plain"(?s:.*?)</script>|<!-- [0-9a-f]{32} -->')
    assert library.sub("", write_report(whole[0]).read_text()) == library.sub("", whole[1])


def test_a_page_that_is_not_whole_is_known_and_what_rung_did_not_write_is_kept(whole, tmp_path):
    page = write_report(shutil.copytree(whole[0], tmp_path / "run"))
    text = page.read_text()
    assert damage_of_page(page) == ""
    page.write_text(text.rpartition("<!--")[0])
    assert damage_of_page(page) == "", "pages of rung 0.1 had no seal"
    for damaged in (text[: len(text) // 2], text.replace("error", "erro"), "<p>My own report.</p>"):
        page.write_text(damaged)
        assert damage_of_page(page) == "it is no whole page of rung"
        with pytest.warns(DamagedFileWarning, match=r"it is kept as report\.html\.damaged"):
            write_report(tmp_path / "run")
        assert page.read_text() == text
        assert page.with_name("report.html.damaged").read_text() == damaged


SECTIONS = {
    "metrics.json": "Errors",
    "barrier.json": "Barriers",
    "predictions": "Predictions beside labels",
    "findings.json": "Data",
}


@pytest.mark.parametrize("name", sorted(SECTIONS))
def test_a_section_whose_file_is_absent_is_absent(run, name):
    assert SECTIONS[name] in page_of(run).headings
    path = run / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert SECTIONS[name] not in page_of(run).headings


FILES = ("metrics.json", "barrier.json", "fit.json", "findings.json", "provenance.json", "predictions/test.json")


@pytest.mark.parametrize("name", FILES)
def test_each_file_stands_alone(tmp_path, run, name):
    alone = tmp_path / "alone"
    (alone / name).parent.mkdir(parents=True)
    shutil.copy(run / name, alone / name)
    assert len(page_of(alone).headings) > 1


EVIL = "<script>alert('x')</script><img src=http://evil.example onerror=alert(1)>&\"'"


def poisoned(value):
    """Foreign tags in every text, but for words of which only a few are allowed."""
    if isinstance(value, dict):
        return {name: item if name in ("severity", "worst") else poisoned(item) for name, item in value.items()}
    if isinstance(value, list):
        return [poisoned(item) for item in value]
    return value + EVIL if isinstance(value, str) else value


NAMED = {
    "metrics.json": [("splits",), ("splits", "test"), ("base",), ("fit", "hyperparameters")],
    "fit.json": [
        ("settings",),
        ("diagnostics",),
        ("details", "energies_alone"),
        ("details", "cross_validation", 0),
        ("details", "evidence_profile", 0),
    ],
    "provenance.json": [("packages",), ("files",), ("ingredients",)],
}
"""Mappings by names that a user gives, or a method."""


def with_evil_names(content, places):
    for place in places:
        inner = content
        for part in place:
            inner = inner[part]
        inner[EVIL] = next(iter(inner.values()), 1.0)
    return content


def test_text_of_files_is_escaped(run):
    for name in FILES:
        write_json(run / name, poisoned(with_evil_names(read_json(run / name), NAMED.get(name, ()))))
    config = {"target": EVIL, "method": {"name": EVIL}, "base": {"fidelity": EVIL}, "fidelities": {EVIL: {}}}
    config["fidelities"][EVIL]["level_of_theory"] = EVIL
    write_text(run / "config.yaml", json.dumps(config))
    text = write_report(run, title=EVIL).read_text()
    page = Page(text)
    assert "<script>alert" not in text
    drawn = re.findall(r'<script type="application/json">(.*?)</script>', text, re.DOTALL)
    assert len(drawn) > 5
    assert not any(re.search("[<>&]", content) for content in drawn)
    rest = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert "onerror" not in re.sub(r"&lt;img.*?&gt;", "", rest)
    assert "alert('x')" in page.text
    assert all(link.startswith("#section-") for link in page.links)


@pytest.mark.parametrize("name", ["metrics.json", "fit.json", "barrier.json", "predictions/ood.json", "study.csv"])
def test_a_damaged_file_is_named_and_no_report_is_left(run, name):
    (run / name).write_bytes(b'\xff{"splits": ')
    with pytest.raises(StorageError, match=re.escape(name)):
        write_report(run)
    assert not (run / "report.html").exists()


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        ("metrics.json", {"splits": [1]}, "splits"),
        ("barrier.json", [{"curves": [{"energies": [1]}]}], "0.title"),
        ("predictions/test.json", {"energy": [1.0], "energy_label": [1.0, 2.0], "n_atoms": [1]}, "fidelity"),
        ("fit.json", {"details": {"hyperparameters": [3]}}, "method"),
    ],
)
def test_a_file_of_another_shape_is_one_sentence(run, name, content, place):
    write_json(run / name, content)
    with pytest.raises(StorageError, match=rf"{name} is damaged at '{re.escape(place)}'"):
        write_report(run)


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(StorageError, match="no results"):
        write_report(tmp_path)
    with pytest.raises(StorageError, match=r"study\.csv"):
        write_study_report(tmp_path)


def test_without_plotly_the_extra_is_named(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
    with pytest.raises(MissingExtraError, match=r"rung\[report\]"):
        write_report(run)


def test_bands_of_the_evaluation_are_drawn(tmp_path):
    class Bars:
        def difference(self, image, reference):
            return Bar(0.01, 0.04)

    found = static_barrier([at(-1.0), at(0.0, 0.5), at(1.0)], DoubleWell(), error_bars=Bars())
    panel = Panel(title="Well", curves=[found.curve("lifted")], barriers=[found.entry("lifted")])
    write_panels(tmp_path / "barrier.json", [panel, panel.model_copy(update={"title": "Well again"})])
    page = page_of(tmp_path)
    assert "Well: lifted gives 0.900 ± 0.040 eV." in page.text
    assert page.headings.count("Well") == page.headings.count("Well again") == 1


def test_findings_of_the_doctor_are_shown(tmp_path):
    counts = {"n_structures": 7, "n_energies": 5, "n_stderr": 5, "n_forces": 0, "n_stress": 0, "n_formulas": 2}
    Diagnosis.of_findings(
        [CensusRow(split="train", fidelity="dmc", **counts)],
        [finding("warning", "no-sigma", "Two σ are absent.", ("train",), ("dmc",), ("a",))],
    ).write(tmp_path / "findings.json")
    text = page_of(tmp_path).text
    assert "no-sigma" in text
    assert "Two σ are absent." in text
    assert "1 structure " in text
    assert "Energies with σ Forces" in text


class TestStudy:
    def test_curves_tables_and_coverage(self, tmp_path):
        study_folder(tmp_path)
        text = write_study_report(tmp_path).read_text()
        page = Page(text)
        assert page.headings[0] == "MoS2: how many energies does it take?"
        assert len(set(re.findall(r'id="(figure-\d+)"', text))) == 6
        assert "With 25 energies the anchor lowers" in page.text
        assert "Only 12 energies: trust the error bars. (2 fits)" in page.text
        assert "barrier 95 %" in page.text

    def test_means_and_coverage_by_hand(self, tmp_path):
        lines = ["method,n_labels,seed,split,metric,value"]
        for n, values in ((10, (4.0, 6.0)), (20, (3.0, 4.0))):
            for seed, value in enumerate(values):
                lines.append(f"readout,{n},{seed},test,energy_rmse,{value}")
                lines.append(f"readout,{n},{seed},hop,barrier,{1 + 0.1 * value}")
                lines.append(f"readout,{n},{seed},hop,barrier_stderr_total,0.05")
        write_text(tmp_path / "study.csv", "\n".join(lines))
        StudySummary(title="By hand", truths={"hop": 1.352}).write(tmp_path / "study.json")
        text = Page(write_study_report(tmp_path).read_text()).text
        assert "readout 5.00 ± 1.4 3.50 ± 0.71" in text
        assert "readout hop barrier 68 % 50 % 50 % readout hop barrier 95 % 50 % 100 %" in text

    def test_each_fold_is_judged_by_its_own_bar(self, tmp_path):
        """Both folds miss the truth by 0.1 eV: the one with a bar of 0.2 eV holds it, the one with 0.01 eV does not."""
        rows = [
            StudyRow(method="readout", n_labels=10, seed=0, fold=fold, split="hop", metric=metric, value=value)
            for fold, bar in enumerate((0.2, 0.01))
            for metric, value in (("barrier", 1.1), ("barrier_stderr_total", bar))
        ]
        write_rows(tmp_path / "study.csv", rows)
        StudySummary(title="Folds", truths={"hop": 1.0}).write(tmp_path / "study.json")
        assert "readout hop barrier 68 % 50 %" in Page(write_study_report(tmp_path).read_text()).text

    def test_a_study_inside_a_run_is_shown_with_it(self, run):
        study_folder(run / "study")
        headings = page_of(run).headings
        assert headings.index("Errors") < headings.index("Learning curves") < headings.index("How to reproduce")

    def test_links_to_single_runs(self, tmp_path):
        study_folder(tmp_path)
        write_text(tmp_path / "a run" / "report.html", "")
        assert "a run/report.html" in Page(write_study_report(tmp_path).read_text()).links

    def test_a_missing_column_is_named(self, tmp_path):
        write_text(tmp_path / "study.csv", "method,seed\nreadout,1\n")
        with pytest.raises(StorageError, match="n_labels"):
            write_study_report(tmp_path)
