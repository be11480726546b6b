"""Whatever single value of a result file is replaced: a page or one sentence, and never a page with foreign tags."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rung.errors import RungError
from rung.report import write_report, write_study_report
from rung.storage import read_json, write_json
from tests.report.folders import run_folder, study_folder

EVIL = "<script>alert(1)</script>"
FILES = ("metrics.json", "fit.json", "barrier.json", "findings.json", "provenance.json", "study/study.json")


def paths(value, here=()):
    """Every place inside nested JSON."""
    yield here
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from paths(inner, (*here, key))


def replaced(value, path, new):
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    whole = tmp_path_factory.mktemp("run")
    run_folder(whole)
    study_folder(whole / "study")
    for path in (whole / "predictions").iterdir():
        path.unlink()
    return whole


NEW = (None, 0, -1.5, True, "", EVIL, [], [None], {}, {"x": EVIL}, [EVIL], [[1.0]], 1e300)
EASY = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}


def check(folder, data, name, new):
    whole = read_json(folder / name)
    path = data.draw(st.sampled_from(list(paths(whole))))
    write_json(folder / name, replaced(whole, path, new))
    try:
        for write, where in ((write_report, folder), (write_study_report, folder / "study")):
            assert EVIL not in write(where).read_text()
    except RungError as error:
        assert str(folder) in str(error)
    finally:
        write_json(folder / name, whole)


@settings(max_examples=5, **EASY)
@given(data=st.data(), name=st.sampled_from(FILES), new=st.sampled_from(NEW))
def test_one_value_replaced(folder, data, name, new):
    check(folder, data, name, new)


@pytest.mark.slow
@settings(max_examples=150, **EASY)
@given(data=st.data(), name=st.sampled_from(FILES), new=st.sampled_from(NEW))
def test_one_value_replaced_many_times(folder, data, name, new):
    check(folder, data, name, new)
