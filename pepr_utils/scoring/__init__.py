"""Floor 1: the PePR score and the normalisation of its resource. Arrays in, arrays out."""

from pepr_utils.scoring.normalization import NORMALIZATIONS, normalize
from pepr_utils.scoring.score import pepr

__all__ = ["NORMALIZATIONS", "normalize", "pepr"]
