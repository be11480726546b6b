"""From the outputs of other programs to labels: read, average with an error, match to structures, merge."""
