"""Run before any of the six, python -m retired.mlp_gluon say: whether MXNet can be imported here."""
import os
import sys
from importlib import metadata

TO_DO = "Make an environment of Python 3.11 with retired/requirements.txt, as retired/README.md says."

try:
    metadata.version("mxnet")
    numpy = metadata.version("numpy")
except metadata.PackageNotFoundError as error:
    sys.exit(f"{error.name} is not installed, and has not been made for every Python: here it is "
             f"{sys.version.split()[0]}. {TO_DO}")
if [int(part) for part in numpy.split(".")[:2]] > [1, 23]:
    sys.exit(f"NumPy here is {numpy}; MXNet needs 1.23 or older, since it uses names that NumPy has given up. {TO_DO}")
os.environ.setdefault("MXNET_SUBGRAPH_VERBOSE", "0")  # else every graph that is bound greets on stderr
