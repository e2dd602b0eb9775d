"""The pipeline that makes the web site: chapters, their execution, stubs, Sphinx.

Nothing here is imported by a chapter, so a change here does not execute one again; what shapes
an executed chapter, `execute.py` and `stub.py`, is named as a dependency in `chapters.py`.
"""
