"""What a backbone may offer besides is seen by its methods alone."""

from rung.model.delta import SummedBackbone
from rung.model.protocols import FoldableBackbone, LayeredFeatures
from tests.pair_backbone import PairBackbone
from tests.several_fidelities import several

SMALL = (("layers", 1), ("hidden", "4x0e"), ("max_ell", 1))


def test_layers_are_offered_by_those_that_have_them() -> None:
    assert isinstance(PairBackbone(), LayeredFeatures)
    assert isinstance(several("all", SMALL).backbone, LayeredFeatures)
    assert issubclass(SummedBackbone, LayeredFeatures)
    assert not isinstance(several("all", SMALL), LayeredFeatures)


def test_only_a_conditioned_backbone_of_a_backend_folds() -> None:
    assert isinstance(several("all", SMALL).backbone, FoldableBackbone)
    assert not isinstance(PairBackbone(conditioning={"low": 1.0}), FoldableBackbone)
