"""Records, result sets and the published data. Frames in, frames out; no torch.

Its modules are loaded when they are first used: writing a record needs no pandas.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
