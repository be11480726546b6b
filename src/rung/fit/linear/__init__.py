"""The closed-form fit: energies as data with errors, everything else as priors on weights."""
