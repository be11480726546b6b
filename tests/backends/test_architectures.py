"""Architectures in settings: each backend's own keys, a default, and the nearest name where something is wrong."""

from typing import Any

import pytest

from rung.backends.mace.settings import MaceArchitecture, SmallMaceArchitecture
from rung.errors import ConfigError
from rung.fit.methods.delta import DeltaSettings, FeaturesLearner, ModelLearner
from rung.fit.methods.scratch import ScratchSettings
from rung.settings import Settings
from tests.pair_backend import PairArchitecture


def test_without_a_kind_it_is_the_default_backend() -> None:
    assert ScratchSettings().architecture == MaceArchitecture()
    assert ScratchSettings.read({"architecture": {"channels": 8}}).architecture == MaceArchitecture(channels=8)


def test_a_kind_of_an_installed_package() -> None:
    settings = ScratchSettings.read({"architecture": {"kind": "pair", "n_radial": 3}})
    assert settings.architecture == PairArchitecture(n_radial=3)
    assert settings.model_dump(mode="json")["architecture"] == {"kind": "pair", "cutoff": 3.0, "n_radial": 3}


@pytest.mark.parametrize(
    "settings",
    [
        ScratchSettings(),
        ScratchSettings.read({"architecture": {"kind": "pair"}}),
        DeltaSettings(),
        DeltaSettings.read({"learner": {"name": "pair"}}),
        DeltaSettings.read({"learner": {"name": "features"}}),
    ],
)
def test_what_is_written_reads_back(settings: Settings) -> None:
    for mode in ("json", "python"):
        assert type(settings).read(settings.model_dump(mode=mode)) == settings


def test_a_learner_is_a_small_model_of_the_backend_of_its_name() -> None:
    """``learner: {name: mace}`` says what it always said."""
    old = DeltaSettings.read({"learner": {"name": "mace", "architecture": {"layers": 2}}}).learner
    assert isinstance(old, ModelLearner)
    assert old.architecture == SmallMaceArchitecture(layers=2)
    assert DeltaSettings().learner == ModelLearner.read({"name": "mace"})
    other = DeltaSettings.read({"learner": {"name": "pair"}}).learner
    assert isinstance(other, ModelLearner)
    assert other.architecture == PairArchitecture()
    assert isinstance(DeltaSettings.read({"learner": {"name": "features"}}).learner, FeaturesLearner)


@pytest.mark.parametrize(
    ("settings", "values", "match"),
    [
        (
            ScratchSettings,
            {"architecture": {"kind": "maec"}},
            r"'architecture': .*'maec'; there is: mace, pair\. .*'mace'",
        ),
        (ScratchSettings, {"architecture": {"kind": ["mace"]}}, "there is: mace, pair"),
        (ScratchSettings, {"architecture": {"kind": "pair", "channels": 8}}, "there is: cutoff, kind, n_radial"),
        (ScratchSettings, {"architecture": {"channels": 0}}, r"architecture\.channels': .*greater than or equal to 1"),
        (ScratchSettings, {"architecture": 3}, "'architecture': .*valid dictionary"),
        (DeltaSettings, {"learner": {"name": "mac"}}, "Unknown learner 'mac'; there is: features, mace, pair"),
        (DeltaSettings, {"learner": {}}, "the key 'name' is missing"),
        (DeltaSettings, {"learner": {"name": "mace", "architecture": {"chanels": 1}}}, "Did you mean 'channels'"),
        (
            DeltaSettings,
            {"learner": {"name": "mace", "architecture": {"kind": "pair"}}},
            "kind 'pair' is none of 'mace'",
        ),
        (DeltaSettings, {"learner": {"name": "features", "trms": []}}, "'trms'; there is: .*Did you mean 'terms'"),
    ],
)
def test_what_is_wrong_is_said_with_what_there_is(settings: type[Settings], values: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        settings.read(values)
