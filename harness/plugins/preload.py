"""Imports modules once in the scheduler. Tasks are forks of it, so that they need not import them again."""

import os
from importlib import import_module

for name in filter(None, os.environ.get("HARNESS_PRELOADED", "").split(",")):
    import_module(name)
