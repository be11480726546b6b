"""A device is there, or one sentence says that it is not."""

import pytest
import torch

from rung.errors import ConfigError
from rung.model.device import require_device


def test_a_device_that_is_there_is_returned() -> None:
    assert require_device("cpu") == torch.device("cpu")


def test_devices_that_are_not_there_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="'cuda:1' is not available here; use 'cpu'"):
        require_device("cuda:1")
    for name in ("gpu", "xla"):
        with pytest.raises(ConfigError, match=f"no device '{name}' here .*; use cpu"):
            require_device(name)
