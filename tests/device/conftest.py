"""Tests that need a card: marked ``cuda``, and left out where torch sees none.

``RUNG_DEVICE=cpu`` runs them on the CPU, to see that they are sound before a card is there.
"""

import os

import pytest
import torch

DEVICE = os.environ.get("RUNG_DEVICE", "cuda")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is marked ``cuda`` where there is no card."""
    if torch.cuda.is_available() or torch.device(DEVICE).type != "cuda":
        return
    without = [item for item in items if item.get_closest_marker("cuda") is not None]
    if without:
        config.hook.pytest_deselected(items=without)
        items[:] = [item for item in items if item not in without]


@pytest.fixture
def device() -> str:
    """The card."""
    return DEVICE
