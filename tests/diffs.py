"""Changes to a script that a page shows as diffs: how they are read and applied."""
import re
import shutil

from compare.scripts import ROOT


def diffs(text):
    """Return the diffs in a text of Markdown, in order: [(script, [(what goes, what comes), ...]), ...].

    The first line of a block names the file; then groups of lines that go, each followed by the lines that come.
    """
    found = []
    for diff in re.findall(r"(?s)```diff\n(.*?)```", text):
        name, rest = diff.split("\n", 1)
        changes = re.findall(r"((?:^-.*\n)+)((?:^\+.*\n)+)", rest, re.MULTILINE)
        assert "".join(map("".join, changes)) == rest
        found.append((name, [[re.sub("(?m)^[-+]", "", side) for side in change] for change in changes]))
    return found


def apply(folder, *found):
    """Write a script, changed by one or more diffs, and mnist.py into a folder; return the script's name, "mlp_numpy".

    AssertionError: the lines that go do not occur exactly once.
    """
    (name,) = {name for name, _ in found}
    source = (ROOT / name).read_text("utf-8")
    for gone, come in (change for _, changes in found for change in changes):
        assert source.count(gone) == 1, f"{name} has no longer, or not once:\n{gone}"
        source = source.replace(gone, come)
    shutil.copy(ROOT / "mnist.py", folder)
    (folder / name).write_text(source, encoding="utf-8")
    return name.removesuffix(".py")
