import sys


def pytest_terminal_summary(terminalreporter):
    """Print how far each script is from the reference, as test_sameness.py found it."""
    if rows := getattr(sys.modules.get("test_sameness"), "ROWS", None):
        terminalreporter.section("relative error against the float64 reference, the largest over the parameters")
        terminalreporter.write_line(f"{'':34}{'gradient, step 1':>18}{'parameters, 100 steps':>23}")
        for name, after_1, trained in rows:
            terminalreporter.write_line(f"{name:34}{after_1:18.1e}{trained:23.1e}")
