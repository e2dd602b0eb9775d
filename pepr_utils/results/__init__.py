"""Records, result sets and the published data. Frames in, frames out; no torch.

Its parts are loaded when they are used: whoever writes a record needs no pandas.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
