"""Durations, energies and emissions in a unit that fits, for tables of text."""

from __future__ import annotations


def duration(seconds: float | None) -> str:
    """Write a duration in a unit that fits.

    Examples
    --------
    >>> duration(None), duration(41.7), duration(600), duration(9000), duration(234000)
    ('-', '42 s', '10.0 min', '2.5 h', '65 h')
    """
    return _scaled(seconds, ((1, "s", 90), (60, "min", 90), (3600, "h", float("inf"))))


def energy(kwh: float | None) -> str:
    """Write an energy in a unit that fits.

    Examples
    --------
    >>> energy(None), energy(0.0000123), energy(0.0123), energy(37.3)
    ('-', '0.0123 Wh', '12.3 Wh', '37.3 kWh')
    """
    return _scaled(kwh, ((1e-3, "Wh", 1000), (1, "kWh", 10_000), (1000, "MWh", float("inf"))))


def mass(grams: float | None) -> str:
    """Write emissions in a unit that fits.

    Examples
    --------
    >>> mass(None), mass(0), mass(512.3), mass(18400)
    ('-', '0 g', '512 g', '18.4 kg')
    """
    return _scaled(grams, ((1, "g", 1000), (1000, "kg", 10_000), (1e6, "t", float("inf"))))


def _scaled(value: float | None, units: tuple[tuple[float, str, float], ...]) -> str:
    if value is None:
        return "-"
    scale, unit = next((s, u) for s, u, below in units if value / s < below)
    number = value / scale
    if unit == "s" or number >= 100:
        return f"{number:,.0f} {unit}"
    if unit in ("min", "h"):
        return f"{number:.1f} {unit}" if number < 30 else f"{number:.0f} {unit}"
    return f"{number:.3g} {unit}"
