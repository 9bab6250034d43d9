"""The rules of CONTRIBUTING.md: what the root holds, and what may import what."""
import ast
import re
import shutil
import subprocess

import pytest

from compare.scripts import ROOT, SCRIPTS

EXTRAS = sorted(path.name for path in (ROOT / "extras").iterdir() if (path / "README.md").exists())
ALLOWED = {  # what the files of each part may import, besides libraries
    "mnist": [], "scripts": ["mnist"], "compare": ["compare", "scripts", "mnist"],
    "docs": ["docs", "compare", "scripts", "mnist"], "tests": ["tests", "docs", "compare", "scripts", "mnist"]}
for extra in EXTRAS:
    ALLOWED[f"extras.{extra}"] = [f"extras.{extra}", "compare", "scripts", "mnist"]
    ALLOWED[f"tests.extras.{extra}"] = [f"tests.extras.{extra}", f"extras.{extra}", *ALLOWED["tests"]]
FILES = [*ROOT.glob("*.py"), *(path for folder in ("compare", "docs", "extras", "tests")
                               for path in (ROOT / folder).rglob("*.py"))]


def part(module):
    """Return to which part of the repository a module belongs: a key of ALLOWED; None: it is a library's."""
    places = [module, f"docs.{module}", f"tests.{module}"]  # whose folders are where tests look for modules
    for name in places:
        if (ROOT / f"{name.replace('.', '/')}.py").exists() or (ROOT / name.replace(".", "/")).is_dir():
            return next((key for key in sorted(ALLOWED, key=len, reverse=True) if f"{name}.".startswith(f"{key}.")),
                        "scripts" if name in SCRIPTS else None)
    return None


def imported(source):
    """Return the names of all modules that a source imports, with `import`, `from` or `import_module`."""
    names = re.findall(r"import_module\(f?[\"']([\w.]+)", source)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{name.name}" for name in node.names] + [node.module]
    return [name.rstrip(".") for name in names]


def against_the_rules(path, source):
    """Return what a source, that of the file at `path`, imports from parts that it may not import."""
    own = part(path.relative_to(ROOT).with_suffix("").as_posix().replace("/", "."))
    found = {name: part(name) for name in imported(source)}
    return {name: place for name, place in found.items() if place and place not in ALLOWED[own]}


@pytest.mark.skipif(not (shutil.which("git") and (ROOT / ".git").exists()), reason="no clone, or git is missing")
def test_the_root_holds_what_a_newcomer_needs_and_no_more():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    settings = {".ci", ".gitattributes", ".github", ".gitignore"}
    assert {name.split("/")[0] for name in listed.splitlines()} - settings == {
        *(f"{script}.py" for script in SCRIPTS), "mnist.py", "README.md", "CONTRIBUTING.md", "LICENSE",
        "pyproject.toml", "requirements.txt", "compare", "data", "docs", "extras", "tests"}


def test_every_extra_has_what_a_reader_looks_for():
    assert EXTRAS == ["imagenet", "parallel", "retired", "zoo"]
    for extra in EXTRAS:
        readme = (ROOT / "extras" / extra / "README.md").read_text("utf-8")
        assert f"-m pip install -r extras/{extra}/requirements.txt" in readme
        assert f"-m pytest -n 2 tests/extras/{extra}\n" in readme
        assert (ROOT / "extras" / extra / "requirements.txt").exists()
        assert [*(ROOT / "tests" / "extras" / extra).glob("test_*.py")]


def test_the_workflow_and_ci_run_the_commands_of_every_readme():
    workflow = (ROOT / ".github" / "workflows" / "tests.yml").read_text("utf-8")
    steps = set(re.findall(r"(?m)^ +- run: (.*)$", workflow))
    blocks = re.findall(r"(?s)```bash\n(.*?)```", (ROOT / "README.md").read_text("utf-8"))[:2]
    assert len(blocks) == 2 and {line for block in blocks for line in block.splitlines()} <= steps
    for extra in EXTRAS:
        readme = (ROOT / "extras" / extra / "README.md").read_text("utf-8")
        command = rf"(?m)^.*(?:-r extras/{extra}/requirements\.txt.*|-n 2 tests/extras/{extra})$"
        install, test = re.findall(command, readme)
        general = {line.replace(f"/{extra}", "/${{ matrix.extra }}") for line in (install, test)}
        assert {install, test} <= steps or general <= steps and re.search(rf"extra: \[.*{extra}.*\]", workflow)


def test_no_file_is_too_long_to_be_kept_in_mind():
    lines = {path.relative_to(ROOT).as_posix(): len(path.read_text("utf-8").splitlines()) for path in FILES
             if "tests" not in path.parts[len(ROOT.parts):]}
    assert max(lines.values()) <= 250


def test_imports_go_one_way():
    found = {path.relative_to(ROOT).as_posix(): against_the_rules(path, path.read_text("utf-8")) for path in FILES}
    assert len(found) > 70 and {path: modules for path, modules in found.items() if modules} == {}


@pytest.mark.parametrize("place, source", [
    ("mnist.py", "import compare.atomic"), ("mlp_jax.py", "import mlp_numpy"), ("mlp_jax.py", "from extras import zoo"),
    ("compare/run.py", "from extras.zoo.training import run"), ("compare/run.py", "import tour"),
    ("docs/build.py", "from extras.retired import mlp_gluon"), ("extras/zoo/lenet.py", "import extras.imagenet.pack"),
    ("extras/zoo/lenet.py", "from extras.imagenet import pack"), ("extras/zoo/lenet.py", "import test_scripts"),
    ("extras/zoo/report/svg.py", "importlib.import_module(" "f'extras.parallel.{name}')"),
    ("tests/test_page.py", "from extras.zoo import lenet"), ("tests/extras/zoo/test_zoo.py", "import extras.parallel")])
def test_an_import_against_the_rules_is_found(place, source):
    assert against_the_rules(ROOT / place, source)
