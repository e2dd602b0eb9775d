"""How pages show numbers, figures and tables, and how the site is made of the pages.

Importing this package is cheap: chart libraries are loaded when a name is first used.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
