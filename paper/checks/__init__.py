"""The functions behind ``data/claims.yaml``: importing this package registers them."""

from paper.checks import (  # noqa: F401  each registers its checks
    data,
    definition,
    differences,
    figures,
    models,
    table,
    totals,
    world,
)
