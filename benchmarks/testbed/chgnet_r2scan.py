"""CHGNet's r2SCAN weights as an ASE calculator that `rung free-energy chgnet_r2scan:calculator --trusted` imports.

It runs in an environment of its own, for chgnet and mace-torch ask for versions that exclude each other:

    python -m venv labels && labels/bin/pip install torch==2.13.0 chgnet==0.4.2
    labels/bin/pip install -e '.[evaluate,report]'
"""

from typing import Any


def calculator() -> Any:
    from chgnet.model import CHGNet
    from chgnet.model.dynamics import CHGNetCalculator

    return CHGNetCalculator(model=CHGNet.load(model_name="r2scan", use_device="cpu", verbose=False), use_device="cpu")
