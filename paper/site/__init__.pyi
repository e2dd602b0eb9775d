from .shown_chart import show
from .shown_table import show_table

__all__ = ["show", "show_table"]
