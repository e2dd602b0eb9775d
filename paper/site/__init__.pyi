from .numbers import NOT_AVAILABLE, fixed, percent, show_basis, show_numbers
from .shown_chart import show
from .shown_table import show_table

__all__ = ["NOT_AVAILABLE", "fixed", "percent", "show", "show_basis", "show_numbers", "show_table"]
