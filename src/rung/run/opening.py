"""How a folder is opened for the work of a config: its data checked first, then locked, recognised and stamped."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rung.config import Config
from rung.model.device import require_device
from rung.results.findings import Diagnosis
from rung.run.folder import RunFolder, next_free
from rung.run.inputs import design_cache, set_threads
from rung.run.provenance import ingredients, provenance, require_files
from rung.run.stage import whole


def in_free_folder(config: Config) -> Config:
    """Return ``config`` with the next free folder beside ``config.run`` where that exists."""
    return config.model_copy(update={"run": next_free(config.run)})


@contextmanager
def opened(
    config: Config,
    check: Callable[[], Diagnosis],
    *,
    grows: frozenset[str] = frozenset(),
    notice: tuple[str, ...] | None = None,
) -> Iterator[RunFolder]:
    """Hold the lock of the folder of ``config``, once its data are known to be good.

    Parameters
    ----------
    config
        What is to be done, its paths absolute.
    check
        What the doctor says of its data; it raises where they hold an error.
    grows
        Keys of ``config`` that may change from one call to the next.
    notice
        Sentences for the top of the report of a run; None for a folder that keeps them elsewhere.

    Raises
    ------
    ConfigError
        When torch cannot compute on the device.
    DataError
        When a file is missing.
    FindingsError
        When the check finds an error; nothing is written then.
    StorageError
        When the folder belongs to another config, rung did not make it, or another process works in it.
    """
    RunFolder(config.run).require_own()
    if (cache := design_cache(config)) is not None and cache.folder.exists():
        cache.claim()
    set_threads(config)
    require_files(config)
    require_device(config.device)
    made_of = {key: value for key, value in ingredients(config).items() if key not in grows}
    folder = RunFolder(config.run)
    # a folder is only made once its data are known to be good, so that a refusal leaves nothing behind
    diagnosis = None if folder.path.exists() else check()
    with folder.lock():
        folder.require_same(made_of)
        folder.sweep()
        if diagnosis is None and not folder.provenance.exists():
            diagnosis = check()
        known = provenance(config, made_of)
        folder.stamp(config, known if notice is None else known.model_copy(update={"notice": notice}))
        if not whole(folder, "check", [folder.findings]):
            (diagnosis or check()).write(folder.findings)
            folder.record(folder.findings)
            folder.note("check: no errors")
        yield folder
