"""See that the scripts are one network: the same weights, the same digits, and what each library makes of them.

    python -m compare.same         the MLPs
    python -m compare.same conv    the ConvNets

Each script that has its library runs its own train(), from given weights on given digits of the sample. A row shows
its loss, the norm of each parameter's gradient, and how far it is from the same network in float64, the norm of the
difference over the norm, the largest over the parameters: for the gradients of one step, and for the parameters after
a hundred.
"""
import argparse
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import cache
from pathlib import Path
from unittest import mock

import numpy as np

import mnist
from compare import adapters, reference
from compare.run import THREADS
from compare.scripts import AVAILABLE, NETWORKS, ROOT, constants, installed, library_of, module_of, python_of

STEPS = 100
GRADIENT_LIMIT, END_LIMITS = 1e-5, {"mlp": 1e-5, "conv": 5e-5}  # float32 is good for six to seven digits


@cache
def digits():
    """Return the sample's 5,000 digits, (5000, 784) and (5000,)."""
    with mock.patch.dict(os.environ, MNIST_DIR=str(mnist.SAMPLE)):
        return adapters.digits()


@cache
def way(network, batch, rate):
    """Return the reference's parameters after STEPS steps, and the order of the digits that it took."""
    return reference.train(reference.PARAMETERS[network], *digits(), adapters.CALM * rate, batch, STEPS)


@cache
def first_step(network, batch, _):
    """Return the reference's loss and gradients on the first batch of its way."""
    (x, y), parameters = digits(), reference.PARAMETERS[network]
    first, _ = reference.next_batch(parameters, x, batch)
    return reference.loss_and_gradients(parameters, x[first], y[first])


def asked_for(script):
    """Return a script's network, batch size and rate: by what way() and first_step() are called."""
    return (script.split("_")[0], *constants(script)[1:])


def prepare(script, folder):
    """Return the arguments with which Python runs adapters.py on a script, which leaves its files in `folder`."""
    network, batch, rate = asked_for(script.rpartition(".")[2])
    weights = {f"weights{i}": array for i, array in enumerate(reference.PARAMETERS[network])}
    np.savez(folder / "way.npz", order=way(network, batch, rate)[1], **weights)
    (folder / "out").mkdir()
    return ["-m", "compare.adapters", script, str(folder / "way.npz"), str(folder / "out")]


def written(folder):
    """Return what adapters.py left in `folder`, a dict of arrays for each process."""
    return [dict(np.load(path)) for path in (folder / "out").iterdir()]


def alone(script, python=None, **environment):
    """Return what adapters.py makes of a script, of the root or of extras/retired/, with this environment too.

    It is run by `python`, or, if that is None, by the one in which compare looks for its library.

    Raises:
        subprocess.CalledProcessError: it failed; its `stderr` says why.
    """
    environment = {**os.environ, "MNIST_DIR": str(mnist.SAMPLE), **environment}
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([python or python_of(script), *prepare(module_of(script), Path(folder))], cwd=ROOT,
                       env=environment, capture_output=True, text=True, check=True)
        found, = written(Path(folder))
        return found


def difference(found, right):
    """Return the norm of the difference over the norm."""
    return np.linalg.norm(found - right) / np.linalg.norm(right)


def differences(script, found):
    """Return how far what adapters.py made of a script is from the reference: its gradients, its parameters."""
    asked = asked_for(script)
    rights = {"gradient": first_step(*asked)[1], "end": way(*asked)[0]}
    return [max(difference(found[f"{kind}{i}"], right) for i, right in enumerate(adapters.in_layout(script, arrays)))
            for kind, arrays in rights.items()]


def row(label, loss, gradients, *cells):
    return f"{label:23}{loss:10.6f}" + "".join(f"{np.linalg.norm(d):#11.6g}" for d in gradients) + \
        "".join(f"{cell:>14}" for cell in cells)


def main(argv=None):
    """Print the rows; return 0, or 1 if a library failed or is further off than float32 explains."""
    parser = argparse.ArgumentParser(prog="python -m compare.same", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", nargs="?", default="mlp", choices=NETWORKS)
    network = parser.parse_args(argv).network
    scripts = [script for script in AVAILABLE if script.startswith(f"{network}_")]
    missing = [script for script in scripts if not installed(library_of(script))]
    count = len(reference.PARAMETERS[network]) // 2
    names = [f"{kind}{i}" for i in range(1, count + 1) for kind in ("d_w", "d_b")]
    print(f"{'':23}{'loss':>10}{''.join(f'{name:>11}' for name in names)}{'step 1':>14}{f'step {STEPS}':>14}")
    print(row("float64", *first_step(*asked_for(scripts[0]))), flush=True)
    way(*asked_for(scripts[0]))  # before the threads: both would begin it
    failed = 0
    with ThreadPoolExecutor(max_workers=2) as pool:
        running = {pool.submit(alone, script, **dict.fromkeys(THREADS, "1")): script
                   for script in scripts if script not in missing}
        for each in as_completed(running):
            script = running[each]
            label = installed(library_of(script))
            try:
                found = each.result()
            except subprocess.CalledProcessError as error:
                *_, last_line = error.stderr.strip().splitlines() or [f"status {error.returncode}"]
                print(f"{label:23}failed: {last_line}", flush=True)
                failed += 1
                continue
            off = differences(script, found)
            print(row(label, found["loss"][0], [found[f"gradient{i}"] for i in range(2 * count)],
                      *[f"{each:.1e}" for each in off]), flush=True)
            failed += off[0] > GRADIENT_LIMIT or off[1] > END_LIMITS[network]
    for script in missing:
        print(f"{script}.py was left out: its library is not installed.")
    print(f"{failed} failed or differ by more" if failed else "None differs by more",
          f"than float32 explains: {GRADIENT_LIMIT:g} after a step, {END_LIMITS[network]:g} after {STEPS}.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
