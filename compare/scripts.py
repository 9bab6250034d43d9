"""Which scripts there are, and what can be said of each without running it. Who asks for scripts reads it here."""
import ast
import io
import os
import re
import shutil
import subprocess
import sys
import tokenize
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent


class Library(NamedTuple):
    """A library: `name`; `modules`, {what is imported: its name}, of which one is installed; `threads`, the variables
    of the environment in which it reads how many threads it may use."""
    name: str
    modules: dict
    threads: list


LIBRARIES = {  # by the end of its scripts' names, in the order of the tables
    "numpy": Library("NumPy", {"numpy": "NumPy"},
                     ["OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"]),
    "theano": Library("Theano", {"theano": "Theano", "pytensor": "PyTensor"}, ["OMP_NUM_THREADS", "NUMBA_NUM_THREADS"]),
    "tensorflow": Library("TensorFlow", {"tensorflow": "TensorFlow"},
                          ["TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"]),
    "keras": Library("Keras", {"keras": "Keras"}, []),  # its engines read theirs
    "torch": Library("PyTorch", {"torch": "PyTorch"}, ["OMP_NUM_THREADS"]),
    "jax": Library("JAX", {"jax": "JAX"}, ["NPROC"])}
# Those of extras/retired/, in an environment of their own: this one, or that of the Python RETIRED_PYTHON names
RETIRED_LIBRARIES = {
    "gluon": Library("Gluon", {"mxnet": "Gluon of MXNet"}, ["OMP_NUM_THREADS"]),
    "module": Library("Module", {"mxnet": "Module of MXNet"}, ["OMP_NUM_THREADS"]),
    "mxnet_keras": Library("Keras on MXNet", {"keras": "Keras on MXNet"}, ["OMP_NUM_THREADS"])}
RETIRED_PYTHON = shutil.which(os.environ.get("RETIRED_PYTHON", sys.executable if find_spec("mxnet") else ""))
if os.environ.get("RETIRED_PYTHON") and not RETIRED_PYTHON:
    sys.exit(f"RETIRED_PYTHON is {os.environ['RETIRED_PYTHON']}, which is no program. Let it name the Python of an "
             "environment as extras/retired/README.md makes it, or leave it out.")
RETIRED_PYTHON = RETIRED_PYTHON and os.path.abspath(RETIRED_PYTHON)  # it runs in other folders, too
if not find_spec("tensorflow"):  # Keras's default engine, which has no release for Python 3.14 yet
    os.environ.setdefault("KERAS_BACKEND", "jax")
NETWORKS = {"mlp": "MLP", "conv": "ConvNet"}  # by the beginning of the scripts' names
PARAMETERS = {"mlp": 784 * 100 + 100 + 100 * 10 + 10,
              "conv": 25 * 8 + 8 + 25 * 8 * 16 + 16 + 1600 * 100 + 100 + 100 * 10 + 10}
SCRIPTS = [f"{network}_{library}" for network in NETWORKS for library in LIBRARIES
           if (ROOT / f"{network}_{library}.py").exists()]
RETIRED = [f"{network}_{library}" for network in NETWORKS for library in RETIRED_LIBRARIES]
AVAILABLE = SCRIPTS + (RETIRED if RETIRED_PYTHON else [])
PARALLEL, WORKERS = ["mlp_numpy", "conv_tensorflow", "conv_keras", "conv_torch", "conv_jax"], (1, 2)
PROCESSES = ["mlp_numpy", "conv_torch"]  # of PARALLEL: a process for each worker; the others' workers share threads


def library_of(script):
    """Return the end of a script's name, its key in LIBRARIES or RETIRED_LIBRARIES; of a job as well."""
    return script.split("/")[0].partition("_")[2]


def name_of(script):
    """Return how the library of a script is called."""
    return (LIBRARIES | RETIRED_LIBRARIES)[library_of(script)].name


def module_of(job):
    """Return the module that runs a job: of "mlp_numpy/2", with two workers, extras.parallel.mlp_numpy."""
    script, _, workers = job.partition("/")
    return f"extras.retired.{script}" if script in RETIRED else f"extras.parallel.{script}" if workers else script


def path_of(job):
    """Return where the script that runs a job stands."""
    return ROOT.joinpath(*module_of(job).split(".")).with_suffix(".py")


def python_of(script):
    """Return the Python that runs a script or job."""
    return RETIRED_PYTHON if library_of(script) in RETIRED_LIBRARIES else sys.executable


@cache
def installed(library):
    """Return the name and the version of a library, "JAX 0.10.2" say, or None if it is not installed."""
    if library in RETIRED_LIBRARIES:
        (module, name), = RETIRED_LIBRARIES[library].modules.items()
        code = "from importlib import metadata as m; print(m.version(m.packages_distributions()[{!r}][0]))"
        said = RETIRED_PYTHON and subprocess.run([RETIRED_PYTHON, "-c", code.format(module)], capture_output=True,
                                                 text=True).stdout.strip()
        return f"{name} {said}" if said else None
    for module, name in LIBRARIES[library].modules.items():
        if packages := distributions().get(module):  # tensorflow is in tensorflow, tensorflow-cpu, tf-nightly, ...
            return f"{name} {metadata.version(packages[0])}"


@cache
def distributions():
    """Return {module: names of the installed packages that have it}."""
    return metadata.packages_distributions()


@cache
def engine():
    """Return the name of Keras's engine: the one in KERAS_BACKEND, in Keras's file of settings, or its default."""
    if named := os.environ.get("KERAS_BACKEND"):
        return named
    code = "import keras; print(keras.backend.backend())"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split()
    return said[-1] if said else "tensorflow"


def version(script):
    """Return the script's library by name and, if it is installed, version, and Keras's engine.

    `script` may also be a job: "conv_jax/2" is the script in extras/parallel/ with two workers.
    """
    library = library_of(script)
    on = f" on {'jax' if '/' in script else engine()}" if library == "keras" else ""
    return (installed(library) or name_of(script)) + on


@cache
def constants(script):
    """Return the script's EPOCHS, BATCH_SIZE and LEARNING_RATE, read from its source, not to import its library."""
    source = path_of(script.split("/")[0]).read_text("utf-8")
    return ast.literal_eval(re.search(r"^EPOCHS, BATCH_SIZE, LEARNING_RATE = (.*)$", source, re.MULTILINE)[1])


@cache
def lines_of_code(path):
    """Return how many lines of a Python file are code: no blank, no comment, no docstring."""
    source = Path(path).read_text(encoding="utf-8")
    layout = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    lines = {line for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type not in layout
             for line in range(token.start[0], token.end[0] + 1)}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Module, ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node) is not None:
            lines -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return len(lines)
