"""Which way is cheaper, and which structures share passes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rung.features.cost import ATOMS_A_BATCH, JACOBIAN_BYTES, batches, cheaper_kind


@pytest.mark.parametrize(
    ("n_colours", "n_basis", "ratio", "expected"),
    [
        (26, 48, 1.0, "summed"),  # the testbed: 78 passes against 48
        (16, 48, 1.0, "jacobian"),  # as many passes: the Jacobian serves other readouts too
        (26, 400, 1.0, "jacobian"),
        (26, 100, 2.0, "summed"),
        (26, 100, 0.5, "jacobian"),
    ],
)
def test_fewer_passes_win(n_colours, n_basis, ratio, expected):
    assert cheaper_kind(n_colours, n_basis, pass_ratio=ratio) == expected


def test_a_jacobian_that_fills_the_memory_is_not_made():
    assert cheaper_kind(10, 400, JACOBIAN_BYTES + 1, pass_ratio=1.0) == "summed"


SIZES = st.lists(st.tuples(st.integers(1, 150), st.integers(0, 50)), max_size=40)


@given(SIZES, st.one_of(st.none(), st.integers(1, 7)))
def test_every_structure_is_in_one_batch_and_no_batch_is_too_large(structures, batch_size):
    sizes = [size for size, _ in structures]
    made = list(batches(sizes, [cost for _, cost in structures], batch_size))
    assert sorted(index for batch in made for index in batch) == list(range(len(sizes)))
    for batch in made:
        if batch_size is None:
            assert len(batch) == 1 or sum(sizes[index] for index in batch) <= ATOMS_A_BATCH
        else:
            assert len(batch) <= batch_size


def test_structures_of_similar_cost_share_a_batch():
    assert list(batches([1, 1, 1, 1], [9, 2, 9, 2], 2)) == [[1, 3], [0, 2]]
