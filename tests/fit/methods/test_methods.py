"""The records of the methods say what is true of them."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from rung.errors import ConfigError
from rung.features.cache import DesignCache
from rung.fit.lift import Base, Context
from rung.fit.method import NamedSettings
from rung.fit.methods import METHODS, MethodSettings, method_of
from tests.fit.lifts import lift_of
from tests.fit.pair_world import geometries, labelled, pair_base, truth
from tests.several_fidelities import several


def settings_of(name: str, **settings: Any) -> NamedSettings:
    return METHODS[name].settings.read(settings)


READERS = [settings_of(name) for name, method in METHODS.items() if method.designs(settings_of(name)) is not None]
READERS.append(settings_of("delta", learner={"name": "features"}))
"""Settings of fits that read designs."""


def test_a_method_is_found_by_its_settings() -> None:
    for name, method in METHODS.items():
        assert method_of(settings_of(name)) is method
        assert settings_of(name).name == name


@pytest.mark.parametrize("name", METHODS)
def test_a_base_is_missed_or_refused_as_the_record_says(name: str) -> None:
    method, frames = METHODS[name], labelled(geometries(6), pair_base(), truth(pair_base()), 6, 0.01)
    if method.base == "needed":
        with pytest.raises(ConfigError, match=f"'{name}' needs a base"):
            method.fit(lift_of(frames), settings_of(name), Context())
    elif method.base == "none":
        with pytest.raises(ConfigError, match="uses no base"):
            method.fit(lift_of(frames, pair_base()), settings_of(name), Context())


def test_only_what_trains_on_from_all_fidelities_of_a_base_gets_them() -> None:
    base = Base(several("all", (("hidden", "6x0e"), ("max_ell", 1))), "low")
    for name in ("joint", "onehot"):
        assert METHODS[name].origin(base) is base.potential
    for name in ("delta", "offset", "readout", "tangent", "transfer"):
        assert METHODS[name].origin(base) is base.plain


def test_a_fit_of_closed_form_reads_designs_and_a_training_none() -> None:
    assert {settings.name for settings in READERS} >= {"offset", "readout", "delta"}
    for name in ("delta", "joint", "onehot", "scratch", "tangent", "transfer"):
        assert METHODS[name].designs(settings_of(name)) is None


@pytest.mark.parametrize("settings", READERS, ids=lambda settings: settings.name)
def test_what_was_prepared_is_all_that_a_fit_reads(settings: NamedSettings, tmp_path: Path) -> None:
    base, method = pair_base(), method_of(settings)
    lift = lift_of(labelled(geometries(12), base, truth(base), 8, 0.01), base)
    context = Context(cache=DesignCache(tmp_path), dtype="float64")
    designs = method.designs(settings)
    assert designs is not None
    designs.prepare(lift, settings, context)
    prepared = {entry.path for entry in DesignCache(tmp_path).entries()}
    assert len(prepared) >= 8
    method.fit(lift, settings, context)
    assert {entry.path for entry in DesignCache(tmp_path).entries()} == prepared


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ({"name": "joint", "reference_energies": {"high": {"h": -1.0}}}, "'h'"),
        ({"name": "onehot", "reference_energies": {"high": {"Xx": -1.0}}}, "'Xx'"),
        ({"name": "tangent", "layers": "*products"}, "is no regular expression"),
        ({"name": "auto", "tangent": {"layers": "("}}, "is no regular expression"),
    ],
)
def test_a_setting_that_would_fail_after_work_is_refused_when_it_is_read(method, words):
    with pytest.raises(ValidationError, match=words):
        TypeAdapter(MethodSettings).validate_python(method)
