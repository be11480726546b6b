"""The architecture of a MACE model as plain data, read off a live model or off the inert picture of a file.

Both have the same attributes, so one description serves both; that is also what refuses models which rung would
otherwise evaluate with a part missing.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch

from rung.errors import ModelError, one_of
from rung.model.readout import ACTIVATIONS

MODEL_CLASSES = ("MACE", "ScaleShiftMACE")
READOUT_CLASSES = ("LinearReadoutBlock", "NonLinearReadoutBlock", "NonLinearBiasReadoutBlock")
RADIAL_CLASSES = {"BesselBasis": "bessel", "GaussianBasis": "gaussian", "ChebychevBasis": "chebyshev"}
TRANSFORM_CLASSES = {"AgnesiTransform": "Agnesi", "SoftTransform": "Soft"}
MOST_MEMBERS, MOST_MODULES, MOST_LEVELS, MOST_LETTERS = 200, 10_000, 30, 100
"""What a model may have: a large one has 4 layers, some hundred modules on 7 levels, and names of 30 letters."""
_UNKNOWN_TERMS = ("joint_embedding", "embedding_readout", "les", "dipole", "coulomb_energy")

_FUNCTION_NAMES = {
    **{function: name for name, function in ACTIVATIONS.items() if name != "identity"},
    torch.nn.functional.sigmoid: "sigmoid",
    torch.relu: "relu",
}
"""Rung's names of the functions that torch has for them, some of which it has twice."""


Description = dict[str, Any]


def class_name(thing: Any) -> str:
    """Return the name of the class of a live object, or of what an inert one stands for."""
    return str(getattr(type(thing), "inert_name", type(thing).__name__))


def class_home(thing: Any) -> str:
    """Return the module that defines the class of a live object, or of what an inert one stands for."""
    return str(getattr(type(thing), "inert_module", type(thing).__module__))


def function_name(function: Any) -> str:
    """Return rung's name of an activation function, live or inert; an unknown one is refused by its own name."""
    if function is None:
        return "identity"
    for known, name in _FUNCTION_NAMES.items():
        if function is known:
            return name
    inert = getattr(function, "inert_name", None)
    if inert in _FUNCTION_NAMES.values() and str(function.inert_module).split(".")[0] == "torch":
        return str(inert)
    shown = str(inert or getattr(function, "__name__", type(function).__name__))
    raise ModelError(one_of(shown, set(_FUNCTION_NAMES.values()), "activation of a MACE readout"))


def irreps_text(irreps: Any) -> str:
    """Return irreps in e3nn's notation, from e3nn's own object, text, or inert tuples."""
    if isinstance(irreps, str):
        return irreps
    if not hasattr(type(irreps), "inert_name"):
        return str(irreps)
    terms = []
    for part in _tuple(irreps):
        count, irrep = _tuple(part)
        degree, parity = _tuple(irrep)
        terms.append(f"{int(count)}x{int(degree)}{'e' if parity == 1 else 'o'}")
    return "+".join(terms)


def _tuple(inert: Any) -> tuple[Any, ...]:
    """Return the content of an inert subclass of tuple, which is pickled as its class and one tuple."""
    (content,) = inert.args
    return tuple(content)


def multiplicity(irreps: str) -> int:
    """Return the number of even scalars of irreps in e3nn's notation."""
    total = 0
    for part in irreps.replace(" ", "").split("+"):
        count, _, irrep = part.rpartition("x")
        total += int(count or 1) if irrep == "0e" else 0
    return total


def heads_of(model: Any) -> list[str]:
    """Return the names of the heads; models made before MACE had heads have the one that it calls Default."""
    return [str(head) for head in getattr(model, "heads", None) or ["Default"]]


def children(container: Any) -> list[Any]:
    """Return the members of a ``ModuleList``, live or inert, in order.

    Raises
    ------
    ModelError
        When there are more of them than any model has layers.
    """
    members = container._modules
    if not isinstance(members, Mapping) or len(members) > MOST_MEMBERS:
        raise ModelError(f"A list of modules has no more than {MOST_MEMBERS} members.")
    return list(members.values())


def submodules(module: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield a module and all within it, live or inert, each with its path and a dot.

    Raises
    ------
    ModelError
        When there are more than any model has: a file may hold one module in a thousand places, at every depth again.
    """
    waiting = [(prefix, module)]
    seen = 0
    while waiting:
        path, one = waiting.pop()
        seen += 1
        if seen > MOST_MODULES or path.count(".") > MOST_LEVELS:
            raise ModelError(f"The model has more than {MOST_MODULES} modules, or more than {MOST_LEVELS} levels.")
        yield path, one
        held = [(name, child) for name, child in vars(one).get("_modules", {}).items() if child is not None]
        if any(not isinstance(name, str) or len(name) > MOST_LETTERS for name, _ in held):
            raise ModelError(f"The model has a module without a name of up to {MOST_LETTERS} letters.")
        waiting += [
            (f"{path}{name}.", child)
            for name, child in reversed(held)
            if hasattr(child, "__dict__") and "_modules" in vars(child)
        ]


def refuse_unknown(model: Any) -> None:
    """Raise where the model has a class, a term or an acceleration that rung does not evaluate.

    Raises
    ------
    ModelError
        Naming what is not supported.
    """
    name = class_name(model)
    if name not in MODEL_CLASSES or not class_home(model).startswith("mace."):
        raise ModelError(f"A model of the class {name!r} is not supported; rung reads {' and '.join(MODEL_CLASSES)}.")
    for term in _UNKNOWN_TERMS:
        if hasattr(model, term):
            raise ModelError(f"The model has the energy term {term!r}, which rung does not know and would drop.")
    for readout in children(model.readouts):
        if class_name(readout) not in READOUT_CLASSES:
            raise ModelError(one_of(class_name(readout), READOUT_CLASSES, "class of a MACE readout"))
    for block in [*children(model.interactions), *children(model.products), *children(model.readouts)]:
        for part in [block, *block._modules.values()]:
            _refuse_accelerated(part)


def _refuse_accelerated(part: Any) -> None:
    home = class_home(part).split(".", maxsplit=1)[0]
    if home in {"cuequivariance_torch", "cuequivariance", "openequivariance"} or _enabled(part):
        raise ModelError(
            "The model was converted to cuequivariance or openequivariance; give rung the e3nn model that it was "
            "made from (mace_cueq_to_e3nn converts back)."
        )


def _enabled(part: Any) -> bool:
    configs: Iterable[Any] = (getattr(part, "cueq_config", None), getattr(part, "oeq_config", None))
    return any(bool(getattr(config, "enabled", False)) for config in configs if config is not None)


def describe(model: Any) -> Description:
    """Return what is needed to build the same architecture again, as strings, numbers, booleans, None and lists."""
    interactions, products, readouts = (
        children(model.interactions),
        children(model.products),
        children(model.readouts),
    )
    heads = heads_of(model)
    last = readouts[-1]
    non_linear = hasattr(last, "linear_2")
    gate = children(last.non_linearity.acts)[0] if non_linear else None
    hidden = irreps_text(products[0].linear.irreps_out)
    return {
        "class": class_name(model),
        "r_max": float(model.r_max),
        "atomic_numbers": [int(number) for number in model.atomic_numbers],
        "heads": heads,
        "hidden_irreps": hidden,
        "last_irreps": irreps_text(products[-1].linear.irreps_out),
        "max_ell": int(model.spherical_harmonics._lmax),
        "interaction_first": class_name(interactions[0]),
        "interaction": class_name(interactions[-1]),
        "num_interactions": len(interactions),
        "correlation": [_correlation(product) for product in products],
        "avg_num_neighbors": float(interactions[0].avg_num_neighbors),
        "readout_class": class_name(last),
        "mlp_units": multiplicity(irreps_text(last.hidden_irreps)) // len(heads) if non_linear else 16,
        "gate": "identity" if gate is None else function_name(gate.f),
        "n_readouts": len(readouts),
        "pair_repulsion": hasattr(model, "pair_repulsion_fn"),
        "radial_mlp": _radial_mlp(interactions[0]),
        "use_reduced_cg": bool(getattr(model, "use_reduced_cg", False)),
        "use_so3": bool(getattr(model, "use_so3", False)),
        "use_agnostic_product": bool(getattr(model, "use_agnostic_product", False)),
        "use_edge_irreps_first": bool(getattr(model, "use_edge_irreps_first", False)),
        "edge_irreps": _optional_irreps(getattr(model, "edge_irreps", None)),
        "apply_cutoff": bool(getattr(model, "apply_cutoff", True)),
        "energies_shape": list(model.atomic_energies_fn.atomic_energies.shape),
        "scale_shape": list(model.scale_shift.scale.shape) if hasattr(model, "scale_shift") else None,
        **_radial(model.radial_embedding),
        **_biased(model),
    }


def _biased(model: Any) -> Description:
    """Return the linear layers that have a bias where MACE builds none; nothing where there are none.

    The entry is left out then, so that models without keep the fingerprints that they have always had.
    """
    places = {
        **{
            f"interactions.{index}.{name}": block
            for index, block in enumerate(children(model.interactions))
            for name in ("linear_up", "linear", "linear_1")
        },
        **{f"readouts.{index}.linear_1": block for index, block in enumerate(children(model.readouts))},
    }
    found = [path for path, block in places.items() if _has_bias(block._modules.get(path.rpartition(".")[2]))]
    return {"biased": found} if found else {}


def _has_bias(linear: Any) -> bool:
    bias = None if linear is None else linear._parameters.get("bias")
    return bias is not None and bias.numel() > 0


def _radial(embedding: Any) -> Description:
    basis = class_name(embedding.bessel_fn)
    if basis not in RADIAL_CLASSES:
        raise ModelError(one_of(basis, RADIAL_CLASSES, "radial basis of a MACE model"))
    transform = getattr(embedding, "distance_transform", None)
    if transform is not None and class_name(transform) not in TRANSFORM_CLASSES:
        raise ModelError(one_of(class_name(transform), TRANSFORM_CLASSES, "distance transform of a MACE model"))
    return {
        "radial_type": RADIAL_CLASSES[basis],
        "num_bessel": int(embedding.out_dim),
        "num_polynomial_cutoff": float(embedding.cutoff_fn.p),
        "distance_transform": "None" if transform is None else TRANSFORM_CLASSES[class_name(transform)],
    }


def _optional_irreps(irreps: Any) -> str | None:
    return None if irreps is None else irreps_text(irreps)


def _correlation(product: Any) -> int:
    first = children(product.symmetric_contractions.contractions)[0]
    return len(first.weights._parameters) + 1


def _radial_mlp(interaction: Any) -> list[int]:
    if class_name(interaction) == "RealAgnosticAttResidualInteractionBlock":
        return [64, 64, 64]  # this block has a fixed network of its own
    return [int(width) for width in interaction.conv_tp_weights.hs[1:-1]]
