"""Labels of several fidelities: rows to learn from, reference energies, normalisation, agreement between levels."""
