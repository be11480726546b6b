"""Where models run."""

import torch

from rung.errors import ConfigError


def require_device(name: str) -> torch.device:
    """Return torch's device of a name such as ``cpu``, ``cuda`` or ``cuda:1``.

    Raises
    ------
    ConfigError
        When torch cannot compute on it here: an unknown name, or a build or a machine without the device.
    """
    try:
        device = torch.device(name)
        absent = device.type == "cuda" and not torch.cuda.is_available()
        if not absent:
            torch.zeros(1, device=device).item()  # a device of torch that holds no numbers (meta) is none here
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(f"There is no device {name!r} here ({reason}); use cpu, cuda or cuda:1.") from error
    if absent:
        raise ConfigError(f"The device {name!r} is not available here; use 'cpu', or install torch with CUDA.")
    return device
