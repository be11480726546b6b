"""SevenNet (sevenn 0.13). Importing this package needs no engine; :mod:`rung.backends.sevenn.engine` imports it."""
