"""The tests; this file is imported before any of them, and so before torch."""

import os

# Here and in child processes: on a busy machine a second thread waits for a core that it does not get, and a forward
# pass of a small model then takes a hundred times as long.
for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
