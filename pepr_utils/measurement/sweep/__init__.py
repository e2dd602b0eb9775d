"""The study in batch: runs, a notebook and a folder in; one durable record per run out.

Nothing here imports torch. Each Dask worker claims the next runs by a file lock, executes the
notebook in a kernel of its own and settles the runs by their records; the coordinator keeps workers
busy. The records in the folder are the only state, which `pepr_utils.measurement.sweep.state.state`
reads.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
