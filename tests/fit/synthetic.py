"""A linear world whose truth is drawn from the fit's own assumptions, so that its claims can be checked."""

from dataclasses import dataclass

import numpy as np

from rung.fit.linear.evidence import HyperPrior
from rung.fit.linear.gaussian import EnergyData, LinearModel, PriorComponent

PRIORS = {"alpha": HyperPrior(0.3, 0.5), "tau": HyperPrior(0.5, 0.5), "model_error": HyperPrior(0.05, 0.5)}


@dataclass(frozen=True)
class World:
    """One draw of designs, hyper-parameters, truth and noisy labels."""

    model: LinearModel
    truth: np.ndarray
    hypers: dict[str, float]
    unseen_energy: np.ndarray
    unseen_composition: np.ndarray
    forces: np.ndarray


def draw_world(seed: int, n_energies: int = 30, n_weights: int = 8, n_elements: int = 2) -> World:
    random = np.random.default_rng(seed)
    hypers = {name: prior.median * np.exp(prior.width * random.normal()) for name, prior in PRIORS.items()}
    mixing = random.normal(size=(n_weights, n_weights)) * np.linspace(1.0, 0.2, n_weights)
    design = random.normal(size=(n_energies + 3, n_weights)) @ mixing
    forces = random.normal(size=(60, n_weights)) @ mixing * 0.7
    atoms = random.integers(1, 6, size=(n_energies + 3, n_elements)).astype(float)
    direction = forces @ random.normal(size=n_weights)
    weight = n_weights / 20
    components = (
        PriorComponent.centred("alpha", np.diag(np.mean(design**2, axis=0))),
        PriorComponent(
            "tau",
            weight * forces.T @ forces,
            weight * forces.T @ (0.1 * direction),
            (weight * forces.T @ direction)[:, None],
            np.array([0.3]),
        ),
    )
    sigma = random.uniform(0.02, 0.1, n_energies + 3)
    empty = EnergyData(
        np.zeros((0, n_weights)), np.zeros((0, n_elements)), np.zeros(0), np.zeros((0, 0)), np.zeros((0, 0))
    )
    prior = LinearModel(components, empty).prior(hypers)
    d = random.multivariate_normal(prior.mean, prior.covariance, method="cholesky")
    e = 5.0 * random.normal(size=n_elements)
    size = atoms.sum(axis=1)
    exact = design @ d + atoms @ e + hypers["model_error"] * np.sqrt(size) * random.normal(size=len(size))
    noisy = exact + sigma * random.normal(size=len(size))
    kept = slice(0, n_energies)
    data = EnergyData(design[kept], atoms[kept], noisy[kept], np.diag(sigma[kept] ** 2), np.diag(size[kept]))
    return World(
        LinearModel(components, data), np.concatenate([d, e]), hypers, design[n_energies:], atoms[n_energies:], forces
    )
