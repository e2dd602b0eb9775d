"""Measuring: architectures, data sets, protocols, training, metering.

One noun and one verb: a frozen `Run` is what to measure, `resolve(run)` looks up all that it
names, `measure(run)` trains and meters it and returns its record. Importing this package is
cheap; torch and timm are loaded by what trains.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
