from .numbers import NOT_AVAILABLE, fixed, show_numbers
from .shown_chart import show
from .shown_table import show_table

__all__ = ["NOT_AVAILABLE", "fixed", "show", "show_numbers", "show_table"]
