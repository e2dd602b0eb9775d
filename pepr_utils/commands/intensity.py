"""The option ``--carbon-intensity`` of the commands that meter."""

from __future__ import annotations

from collections.abc import Callable

import click


def _checked(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    """Refuse what is neither a number nor a country's code before anything else is done."""
    if value is not None:
        from pepr_utils.measurement.metering import IntensityError, carbon_intensity

        try:
            carbon_intensity(value)
        except IntensityError as error:
            raise click.BadParameter(str(error)) from None
    return value


def intensity_option(function: Callable) -> Callable:
    """Add ``--carbon-intensity``, checked."""
    return click.option(
        "--carbon-intensity",
        metavar="G_PER_KWH|COUNTRY",
        callback=_checked,
        help="Declared emissions per energy, or a country's code, such as DK; default: the "
        "world's mean.",
    )(function)
