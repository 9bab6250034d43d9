"""All runs of a comparison, one after the other, and the file that holds them."""
import json
import os
import sys
from itertools import chain, count

from rich.live import Live

import mnist
from compare import machine
from compare.atomic import not_readable, write
from compare.live import live_table
from compare.run import RunError, train
from compare.scripts import PARALLEL, ROOT, SCRIPTS, constants, version
from compare.table import conditions, epoch_seconds, parallel_rows, rows

RESULTS, PARALLEL_RESULTS = [ROOT / "compare" / "results" / f"{name}.json" for name in ("comparison", "parallel")]


def measure(chosen, arguments, saved, path, console):
    """Run every seed of every chosen script and write `saved` to `path` after each; return how many runs failed."""
    failed, now, fresh = 0, {}, set()
    for script in chosen:
        version(script)  # before the clock runs: Keras has to be asked, which takes seconds
    with Live(get_renderable=lambda: live_table(chosen, arguments.seeds, arguments.epochs, saved, now),
              console=console, transient=True, refresh_per_second=1):  # what it takes, the script has to do without
        for script, seed in [(script, seed) for script in chosen for seed in range(arguments.seeds)]:
            name = f"{script} seed {seed}"
            if arguments.resume and name in saved["runs"]:
                continue
            now.update(script=script, seed=seed, epochs=[])
            try:
                result = train(script, seed, arguments.epochs or constants(script)[0], arguments.threads,
                             arguments.timeout, now["epochs"])
                if not arguments.resume and script not in fresh:  # all seeds of a row come from one comparison
                    for kind in "runs", "failures":
                        saved[kind] = {key: r for key, r in saved[kind].items() if key.split()[0] != script}
                    fresh.add(script)
                saved["runs"][name] = result
                saved["failures"].pop(name, None)
                write(path, json.dumps(saved, indent=1))  # before it is printed, which can fail
                console.print(f"{name}: test accuracy {result['test_accuracy']:.2%}, "
                              f"{epoch_seconds(result['epochs']):.2f} s per epoch", highlight=False)
            except RunError as error:
                failed += 1
                saved["failures"][name] = {"reason": str(error), "stderr": error.stderr}
                write(path, json.dumps(saved, indent=1))
                console.print("\n    ".join([f"{name}: {error}", *error.stderr]), highlight=False, markup=False)
    return failed


def settled(arguments, path, console):
    """Return what `path` holds if it was measured as `arguments` ask, else a beginning, the other kept as .old."""
    (images, _), *_ = mnist.load_data()
    if not arguments.quick and len(images) != 50_000:
        sys.exit(f"python -m compare measures on 50,000 training digits, but {len(images):,} were found. Set MNIST_DIR "
                 "to a folder with the whole of MNIST; or let --quick show the comparison on the sample.")
    settings = {"machine": machine.describe(), "threads": arguments.threads, "epochs": arguments.epochs,
                "images": len(images)}
    new, saved = {"settings": settings, "runs": {}, "failures": {}}, {}
    try:
        saved = json.loads(path.read_text("utf-8"))
        (parallel_rows if arguments.parallel else rows)(saved)  # fails on what is no comparison
        if saved["settings"] == settings:
            return saved
    except FileNotFoundError:
        saved = None
    except OSError as error:
        raise not_readable(path, error, "") from None
    except (ValueError, LookupError, TypeError, AttributeError):
        saved = {}
    if arguments.resume and saved is not None:
        sys.exit(f"{path} cannot be continued: " + (
            "it was measured on another machine or with other settings: " + conditions(saved) if saved else
            "it holds no comparison.") + " Without --resume a new comparison begins, and this file is kept beside it.")
    named = {script.split("/")[0] for script in arguments.scripts}
    if arguments.readme and not named >= set(PARALLEL if arguments.parallel else SCRIPTS):
        sys.exit(f"{path} has no comparison on this machine with these settings, so a new one would begin, and "
                 "--readme leave the README's table with the scripts that were named. Name none, to measure all.")
    if saved is not None:
        olds = (path.with_suffix(f".old{number}.json") for number in chain([""], count(2)))
        old = next(each for each in olds if not each.exists())
        os.replace(path, old)
        console.print("A new comparison begins; the earlier one, from another machine or with other settings, is now "
                      f"{old.relative_to(ROOT)}.")
    return new
