"""The ways across: one file a method, and the solver and trainer they share."""
