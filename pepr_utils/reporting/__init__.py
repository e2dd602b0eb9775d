"""A page for a colleague: what a ranking says, its chart, and how far to believe it."""

from pepr_utils.reporting.drawing import chart, check_chart_target, write_charts
from pepr_utils.reporting.pages import charts, check_report_target, report

__all__ = [
    "chart",
    "charts",
    "check_chart_target",
    "check_report_target",
    "report",
    "write_charts",
]
