"""Run before any of the scripts, python -m extras.retired.mlp_gluon say: can MXNet be imported here?"""
import os
import sys
from importlib import metadata
from importlib.util import find_spec

TO_DO = "Make an environment of Python 3.11 with extras/retired/requirements.txt, as extras/retired/README.md says."

if not find_spec("mxnet"):
    sys.exit(f"MXNet is not installed in {sys.executable}. {TO_DO}")
if [int(part) for part in metadata.version("numpy").split(".")[:2]] > [1, 23]:
    sys.exit(f"NumPy here is {metadata.version('numpy')}, which has given up names that MXNet needs; 1.23 has them. "
             f"{TO_DO}")
os.environ.setdefault("MXNET_SUBGRAPH_VERBOSE", "0")  # else every graph that is bound greets on stderr
