"""Free-energy profiles: collective variables, umbrella windows, MBAR and reweighting."""
