"""What a campaign works on: the structures of its files, its base, and what rounds made of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from rung.campaign.answering import require_questions
from rung.campaign.choosing import start_count
from rung.campaign.config import CampaignConfig
from rung.campaign.folder import FinishedRound, labels_of
from rung.campaign.questions import files_of
from rung.config import RunConfig
from rung.data.readers.structures import read_structures, require_one_geometry_each, write_structures
from rung.data.splits import labelled_with
from rung.data.structure import Structure
from rung.doctor import diagnose
from rung.errors import ConfigError, DataError, FindingsError, counted
from rung.fit.lift import Base
from rung.label.engines import ENGINES
from rung.progress import SILENT, Progress
from rung.results.findings import Diagnosis
from rung.run.inputs import design_cache, open_base, open_table, read_splits, single_atoms_of
from rung.select.greedy import Offer
from rung.tasks.selection import mean_features

UNLABELLED = frozenset({"no-labels", "no-target-energies", "no-target-labels", "empty-fidelity"})
"""Findings that stop a fit and not a campaign, which makes the labels that are not there."""


@dataclass(frozen=True)
class World:
    """A config with what it names, read when first needed.

    Parameters
    ----------
    config
        The campaign, its paths absolute.
    progress
        Where long work reports.
    """

    config: CampaignConfig
    progress: Progress = SILENT

    @cached_property
    def splits(self) -> dict[str, tuple[Structure, ...]]:
        """The structures of every split, by name."""
        return read_splits(self.config)

    @cached_property
    def structures(self) -> tuple[Structure, ...]:
        """All that may be labelled but for what questions propose: train, then the pool, each geometry once."""
        config = self.config
        files = [*config.data.train, *(config.pool or ())]
        read = read_structures(files, keys=config.keys())  # all of them, for a name may stand for one geometry alone
        known = {one.geometry_hash: one for one in (*reversed(read), *reversed(self.splits["train"]))}
        # what a fit would leave out is not worth a label
        return tuple(single_atoms_of(config, self.base).for_fit(tuple(known.values())[::-1]))

    @cached_property
    def train(self) -> tuple[Structure, ...]:
        """The structures of the files of train as they are, without labels of tables, which a fit reads itself."""
        return read_structures(self.config.data.train, keys=self.config.keys())

    @cached_property
    def held_out(self) -> frozenset[str]:
        """Geometries that no fit may see."""
        return frozenset(one.geometry_hash for name, each in self.splits.items() if name != "train" for one in each)

    @cached_property
    def base(self) -> Base:
        """The base."""
        base = open_base(self.config)
        if base is None:
            raise ConfigError("A campaign lifts a base: name it under base.")
        return base

    @property
    def unit(self) -> float:
        """Atoms of a structure whose label costs one."""
        return float(np.mean([len(one) for one in self.structures]))

    def check(self) -> Diagnosis:
        """Check questions, engine and data; raise a :class:`~rung.errors.FindingsError` if anything is an error."""
        config = self.config
        require_questions(config.questions)
        ENGINES[config.engine.name].check(config.engine)
        base = self.base
        # labels are joined by name, so a name is of one geometry in the files of questions, too
        asked = [path for name, question in config.questions.items() for _, path in files_of(name, question)]
        named = read_structures(asked, keys=config.keys())
        require_one_geometry_each([*self.splits["train"], *self.structures, *named])
        diagnosis = diagnose(
            {**self.splits, **({"pool": self.pool} if self.pool else {})},
            target=config.target,
            base=base.plain,
            base_fidelity=base.fidelity,
            single_atoms=single_atoms_of(config, base),
            table=open_table(config),
            progress=self.progress,
        )
        findings = [one for one in diagnosis.findings if one.code not in UNLABELLED]
        errors = [one.sentence for one in findings if one.severity == "error"]
        if errors:
            raise FindingsError(f"The data hold errors, so nothing was begun: {' '.join(errors)}")
        candidates = self.candidates((), ())
        if not candidates:
            raise DataError(f"Every structure has {config.target}_energy already; add others to data.train or pool.")
        labelled = self.labelled(self.splits["train"])
        needed = min(start_count([*labelled, *candidates], config.start.count), len(labelled) + len(candidates))
        if config.budget.labels is not None and len(labelled) + config.budget.labels < needed:
            raise ConfigError(
                f"A first fit needs {counted(needed, 'label')}, {len(labelled)} "
                f"{'is' if len(labelled) == 1 else 'are'} there, and budget.labels is {config.budget.labels}: raise "
                "it, or ask for less with start.count."
            )
        return Diagnosis.of_findings(diagnosis.census, findings)

    @cached_property
    def pool(self) -> tuple[Structure, ...]:
        """Structures of the pool that are not in train."""
        known = {one.geometry_hash for one in self.splits["train"]}
        return tuple(one for one in self.structures if one.geometry_hash not in known)

    def training(self, rounds: Sequence[FinishedRound]) -> list[Structure]:
        """Return what a fit learns from: train with the labels that rounds made, then what else they labelled."""
        return self._with_labels(self.splits["train"], rounds)

    def _with_labels(self, train: Sequence[Structure], rounds: Sequence[FinishedRound]) -> list[Structure]:
        target = self.config.target
        made = {one.structure_id: one for one in labels_of(rounds)}
        frames = [
            replace(one, labels={**one.labels, target: made[one.structure_id].labelled(target)})
            if one.structure_id in made
            else one
            for one in train
        ]
        names = {one.structure_id for one in train}
        return [*frames, *(one for name, one in made.items() if name not in names)]

    def candidates(
        self, rounds: Sequence[FinishedRound], proposals: Sequence[Structure], training: Sequence[Structure] = ()
    ) -> list[Structure]:
        """Return what may be labelled: no geometry that has a label, was tried, or is evaluated on."""
        target = self.config.target
        gone = {one.geometry_hash for each in rounds for one in each.tried} | self.held_out
        gone |= {one.geometry_hash for one in training if one.labelled(target).has_energy}
        free: dict[str, Structure] = {}
        for one in (*self.structures, *proposals):
            if one.geometry_hash not in gone and not one.labelled(target).has_energy:
                free.setdefault(one.geometry_hash, one)
        return list(free.values())

    def offer(self, candidates: Sequence[Structure]) -> Offer:
        """Return which labels of the candidates can be had."""
        sizes = np.array([len(one) for one in candidates], dtype=float)
        return Offer(sizes, self.config.stderr, self.config.power, self.unit)

    def points(self, candidates: Sequence[Structure]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        """Return the mean features of the candidates, by the base."""
        plain = self.base.plain
        return mean_features(candidates, plain.backbone, self.base.fidelity, cache=design_cache(self.config))

    def labelled(self, training: Sequence[Structure]) -> list[Structure]:
        """Return the structures that have an energy of the target."""
        return [training[k] for k in labelled_with(training, self.config.target)]

    def write_training(self, rounds: Sequence[FinishedRound], found: FinishedRound) -> None:
        """Write what the fit of a round learns from, under the keys that the files of the config have."""
        keys, training = self.config.keys(), self._with_labels(self.train, rounds)
        write_structures(
            found.folder.train,
            [
                replace(one, labels={keys.get(name, name): said for name, said in one.labels.items()})
                for one in training
            ],
        )

    def run_config(self, found: FinishedRound) -> RunConfig:
        """Return the config of the fit of a round."""
        config = self.config
        values = {name: getattr(config, name) for name in RunConfig.model_fields}
        data = config.data.model_copy(update={"train": (found.folder.train,)})
        return RunConfig.read({**values, "run": found.folder.fit, "data": data}, str(found.folder.path))
