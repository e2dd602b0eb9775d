"""Import timm, also where torchvision's compiled operators do not fit the installed torch.

timm needs only the Python half of torchvision. With torch's CPU build beside torchvision's CUDA
build (the one that package indexes serve for Linux), the compiled half cannot be loaded, and
torchvision then fails on import because it describes operators that nobody has declared. They are
declared here, without an implementation: nothing in this project calls them.
"""

from __future__ import annotations

import importlib
import re
import sys
import warnings
from functools import cache
from types import ModuleType

from pepr_utils.errors import PeprError, TrainingUnavailableError

_UNDECLARED = re.compile(r"operator torchvision::(\w+) does not exist")
_declared: list[object] = []  # a torch library lives as long as its handle


@cache
def timm() -> ModuleType:
    """Return the module timm.

    Raises
    ------
    TrainingUnavailableError
        If torch or timm is not installed; the message says how to get them.
    """
    try:
        import torch
    except ImportError as error:
        raise _not_installed(error) from None
    for _ in range(20):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # tqdm, in a notebook without widgets
                importlib.import_module("torchvision")
                return importlib.import_module("timm")
        except RuntimeError as error:
            missing = _UNDECLARED.search(str(error))
            if missing is None:
                raise
            library = torch.library.Library("torchvision", "FRAGMENT")
            library.define(f"{missing[1]}(Tensor input) -> Tensor")
            _declared.append(library)
            for name in [n for n in sys.modules if n.split(".")[0] == "torchvision"]:
                del sys.modules[name]
        except ImportError as error:
            raise _not_installed(error) from None
    raise PeprError("torchvision cannot be imported; install the build that fits torch")


def _not_installed(error: ImportError) -> TrainingUnavailableError:
    return TrainingUnavailableError(
        f"training needs a package that is not installed ({error.name or error}); "
        "in a clone run `make env`, elsewhere `pip install 'pepr-utils[train]'`"
    )
