"""Settings name what is wrong and the nearest thing that is right."""

from typing import Annotated, Literal

import pytest
from pydantic import Field, ValidationError

from rung.errors import ConfigError, one_of
from rung.fidelity import Fidelity, require_fidelity
from rung.settings import Settings


class Inner(Settings):
    name: Literal["inner"] = "inner"
    tolerance: float = 1.0


class Other(Settings):
    name: Literal["other"] = "other"
    depth: int = 1


class Outer(Settings):
    size: int = 3
    part: Annotated[Inner | Other, Field(discriminator="name")] = Inner()


def test_unknown_keys_raise_with_the_nearest_name():
    with pytest.raises(ConfigError, match="Did you mean 'size'"):
        Outer.read({"sizze": 3}, "config.yaml")
    with pytest.raises(ConfigError, match="Did you mean 'tolerance'"):
        Outer.read({"part": {"name": "inner", "tolerence": 3}})


def test_values_of_another_type_say_what_was_given():
    with pytest.raises(ConfigError, match=r"config\.yaml: .*'size'.*'many'"):
        Outer.read({"size": "many"}, "config.yaml")


def test_settings_are_frozen():
    settings = Outer.read({"size": 4})
    with pytest.raises(ValidationError, match="frozen"):
        settings.size = 5


def test_a_fidelity_is_never_guessed():
    assert require_fidelity("dmc", ["pbe", "dmc"]) == "dmc"
    with pytest.raises(ConfigError, match=r"there is: dmc, pbe\. Did you mean 'dmc'"):
        require_fidelity("dcm", ["pbe", "dmc"])
    assert "there is: none" in one_of("x", [], "fidelity")


@pytest.mark.parametrize(("name", "shared"), [("", 0.0), ("a b", 0.0), ("dmc", -1.0), ("dmc", float("nan"))])
def test_a_fidelity_s_name_and_error_must_make_sense(name, shared):
    with pytest.raises(ConfigError):
        Fidelity(name, energy_shared_stderr=shared)
