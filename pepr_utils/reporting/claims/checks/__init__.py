"""The checks by what they are about; each module registers its own when it is imported."""
