"""What the documents lead to exists: files, headings, addresses of the page, the modules and files of commands."""
import re
from html.parser import HTMLParser
from importlib.util import find_spec

import pytest
from test_page import build
from tour import ideas

from compare.scripts import RETIRED, ROOT, SCRIPTS

FOLDERS = ["compare", "docs", "extras", "tests"]
MARKDOWN = [*ROOT.glob("*.md"), ROOT / "data/sample/README.md",
            *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.md"))]
PAGES = [ROOT / "docs" / "index.html", ROOT / "docs" / "report.html"]
# Everything in which a command or a file can be named: the documents, the messages and docstrings of the code
TEXTS = [*MARKDOWN, *PAGES, *ROOT.glob("*.py"),
         *(path for folder in FOLDERS[:3] for kind in ("py", "ipynb", "typ", "html")
           for path in (ROOT / folder).rglob(f"*.{kind}") if path not in PAGES)]
WORDS = {"changes", "lecture", "draw", "learn", "mlp_browser", "mnist"}  # in addresses, with scripts, ideas, sections


def without_code(text):
    return re.sub(r"(?ms)^```.*?^```$|`[^`\n]*`", "", text)


def headings(path):
    """Return the anchors that GitHub makes of the headings of a document."""
    titles = re.findall(r"(?m)^#+ (.*)$", re.sub(r"(?ms)^```.*?^```$", "", path.read_text("utf-8")))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def dead_links(path, text):
    """Return the links of a document that lead nowhere; those to other hosts are not looked at."""
    dead = []
    for link in re.findall(r"\]\(([^)\s]+)\)", without_code(text)):
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        known = target.exists() and (not anchor or target.suffix == ".html" and is_address(anchor)
                                     or target.suffix == ".md" and anchor in headings(target))
        if not known and not re.match(r"https?:", link):
            dead.append(link)
    return dead + [code for code in re.findall(r"`(?:index\.html)?#([\w,]+)`", text) if not is_address(code)]


def is_address(anchor):
    """Return whether the page knows each word of an address such as "mlp_numpy,mlp_torch,gradient"."""
    known = {*SCRIPTS, *RETIRED, *(idea["key"] for idea in ideas()), *map(str.lower, build.ROOMS), *WORDS}
    return set(anchor.split(",")) <= known


def dead_commands(text):
    """Return the modules that a text runs with `-m` and that do not exist."""
    names = re.findall(r"\bpython[\d.]* (?:-u )?-m ([a-z][\w.]*)", text) + re.findall(r"-m (extras\.[\w.]+)", text)
    dead = []
    for name in [name.rstrip(".").removesuffix(".NAME") for name in names]:
        path = ROOT / name.replace(".", "/")
        own = (ROOT / name.split(".")[0]).is_dir()
        if not (path.with_suffix(".py").exists() or path.is_dir() if own else find_spec(name.split(".")[0])):
            dead.append(name)
    return dead


def dead_paths(path, text):
    """Return the files and folders of the repository that a text names and that do not exist."""
    folders = "compare|docs|extras|tests|common|parallel|zoo|imagenet|retired"  # today's, and those of before
    found = re.findall(rf"(?<![\w/.{{-])((?:{folders})/[\w./-]*\w)", text)
    made = r".*/results/trial|imagenet/(train|val)/|.*/NAME"  # by a command, by the reader; and a placeholder
    return [name for name in found if not re.match(made, name)
            and not any(place.exists() for place in (ROOT / name, ROOT / f"{name}.py", path.parent / name))]


@pytest.mark.parametrize("path", MARKDOWN, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_link_of_a_document_is_dead(path):
    assert dead_links(path, path.read_text("utf-8")) == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_no_link_of_a_page_is_dead(path):
    ids, links = set(), []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attributes):
            for name, value in attributes:
                if name == "id":
                    ids.add(value)
                elif name in ("href", "src"):
                    links.append(value)

    Reader().feed(path.read_text("utf-8"))
    local = [link for link in links if not re.match(r"https?:|data:", link)]
    assert len(local) > 3
    assert [link for link in local if not (link[1:] in ids or is_address(link[1:]) if link[0] == "#"
                                           else (path.parent / link.split("#")[0]).exists())] == []


def test_every_module_and_file_that_is_named_exists():
    found = {path.relative_to(ROOT).as_posix(): (dead_commands(text), dead_paths(path, text))
             for path in TEXTS for text in [path.read_text("utf-8")]}
    assert {name: dead for name, dead in found.items() if any(dead)} == {}


@pytest.mark.parametrize("text, dead", [
    ("[a](nowhere.md)", ["nowhere.md"]), ("[a](README.md#no-such-heading)", ["README.md#no-such-heading"]),
    ("[a](README.md#gradient)", ["README.md#gradient"]), ("[a](docs/index.html#mlp_numpy,step)", []),
    ("[a](docs/index.html#mlp_nunpy)", ["docs/index.html#mlp_nunpy"]),
    ("[![a](no.png)](README.md)", ["no.png"]), ("[a](https://example.org/x)", []), ("`x[i](1)`", []),
    ("`#mlp_numpy,graident`", ["mlp_numpy,graident"])])
def test_a_dead_link_is_found(text, dead):
    assert dead_links(ROOT / "README.md", text) == dead


@pytest.mark.parametrize("text, dead", [
    ("python -m zoo.lenet", ["zoo.lenet"]), ("python -m extras.zoo.lenet", []), ("`python -m compare.sane`",
                                                                                ["compare.sane"]),
    ("torchrun -m extras.parallel.conv_tensor", ["extras.parallel.conv_tensor"]), ("python -m pip install", []),
    ("python -m extras.retired.NAME", [])])
def test_a_dead_command_is_found(text, dead):
    assert dead_commands(text) == dead


@pytest.mark.parametrize("text, dead", [
    ("see zoo/README.md", ["zoo/README.md"]), ("see extras/zoo/README.md.", []), ("common/", []),
    ("python docs/built.py", ["docs/built.py"]), ("-r retired/requirements.txt", ["retired/requirements.txt"])])
def test_a_dead_path_is_found(text, dead):
    assert dead_paths(ROOT / "README.md", text) == dead
