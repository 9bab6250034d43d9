import os
from importlib.util import find_spec

import pytest

from compare.run import THREADS

# Of several processes that share out the tests each has its share of the cores: threads in excess wait for each other
# at full speed. It has to be said before NumPy is imported.
if workers := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
    for variable in THREADS:
        os.environ.setdefault(variable, str(max(1, os.cpu_count() // int(workers))))


def pytest_collection_modifyitems(items):
    """Skip what runs TensorFlow where it is not installed; the tests of these files only read its scripts."""
    if not find_spec("tensorflow"):
        skip = pytest.mark.skip(reason="TensorFlow is not installed; it has no release for Python 3.14 yet")
        for item in items:
            if "tensorflow" in item.name and item.path.stem not in ("test_page", "test_shape", "test_tour"):
                item.add_marker(skip)


def pytest_terminal_summary(terminalreporter):
    """Print how far each script is from the reference, as test_sameness.py and test_parallel.py found it."""
    rows = [(report.nodeid.partition("[")[2][:-1], errors) for reports in terminalreporter.stats.values()
            for report in reports if getattr(report, "when", "") == "call"
            for name, errors in report.user_properties if name == "relative errors"]
    if rows:
        terminalreporter.section("relative error against the float64 reference, the largest over the parameters")
        terminalreporter.write_line(f"{'':34}{'gradient, step 1':>18}{'parameters, 100 steps':>23}")
        for label, (after_1, trained) in sorted(rows):
            terminalreporter.write_line(f"{label:34}{after_1:18.1e}{trained:23.1e}")
