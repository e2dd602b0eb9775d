"""The PePR score, its resource and curve, the Pareto front and selection. Arrays and frames in.

NumPy alone until a function needs more: pandas for frames, SciPy for callables and rankings, SymPy
for the proof.
"""

from pepr_utils.scoring.controls import beats_majority, cost_alone
from pepr_utils.scoring.curve import CurveOptimum, pepr_curve, pepr_optimum
from pepr_utils.scoring.integral import IntegralRepresentation, integral_representation
from pepr_utils.scoring.normalization import NORMALIZATIONS, normalize
from pepr_utils.scoring.pareto import pareto_front, pareto_knee
from pepr_utils.scoring.racing import (
    Elimination,
    RaceResources,
    RaceRules,
    RaceStep,
    race_resources,
    race_step,
    resource_limit,
)
from pepr_utils.scoring.score import pepr, pepr_weighted, weighted_resource
from pepr_utils.scoring.selection import Selection, select
from pepr_utils.scoring.smoothing import SmoothCurve, smooth_curve
from pepr_utils.scoring.stability import (
    agreement,
    compare_normalizations,
    equivalent_alpha,
    leaders_by_alpha,
    leave_one_out,
    ranks,
)
from pepr_utils.scoring.symbolic import (
    IntegralProof,
    ResourceLimitProof,
    prove_integral_representation,
    prove_resource_limit,
)
from pepr_utils.scoring.uncertainty import score_intervals

__all__ = [
    "NORMALIZATIONS",
    "CurveOptimum",
    "Elimination",
    "IntegralProof",
    "IntegralRepresentation",
    "RaceResources",
    "RaceRules",
    "RaceStep",
    "ResourceLimitProof",
    "Selection",
    "SmoothCurve",
    "agreement",
    "beats_majority",
    "compare_normalizations",
    "cost_alone",
    "equivalent_alpha",
    "integral_representation",
    "leaders_by_alpha",
    "leave_one_out",
    "normalize",
    "pareto_front",
    "pareto_knee",
    "pepr",
    "pepr_curve",
    "pepr_optimum",
    "pepr_weighted",
    "prove_integral_representation",
    "prove_resource_limit",
    "race_resources",
    "race_step",
    "ranks",
    "resource_limit",
    "score_intervals",
    "select",
    "smooth_curve",
    "weighted_resource",
]
