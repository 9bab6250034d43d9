"""The tour: which lines of each script an idea of tour.toml stands in, and what is said about it there."""
import re
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOMS = ["Weights", "Model", "Step", "Training"]


class TourError(Exception):
    """tour.toml does not fit the scripts; the message names the script, the idea and the part of the text."""


def rooms(source):
    """Return {"Start": text, "Weights": text, ...} of a script; the texts, joined, are the source again."""
    parts = re.split(rf"^(?=(?:#|//) (?:{'|'.join(ROOMS)})$)", source, flags=re.MULTILINE)
    titles = ["Start", *(re.match(r"(?:#|//) (\w+)", part)[1] for part in parts[1:])]
    if titles != ["Start", *ROOMS]:
        raise ValueError(f"a script has the rooms {', '.join(ROOMS)}, in this order; found {', '.join(titles[1:])}.")
    return dict(zip(titles, parts))


def ideas():
    """Return the ideas of tour.toml, in order: dicts with key, name, text, lines and how."""
    return tomllib.loads((HERE / "tour.toml").read_text(encoding="utf-8"))["idea"]


def names(script):
    """Return the names under which tour.toml may speak of a script, the most general first."""
    return ["all", *script.split("_"), script]


def place(source, text):
    """Return where a text stands in a source, as its first and its last line, counted from 1.

    Raises:
        ValueError: it occurs not once.
    """
    if (count := source.count(text)) != 1:
        raise ValueError(f"{text!r} occurs {count} times, but has to occur once")
    start = source.index(text)
    return source.count("\n", 0, start) + 1, source.count("\n", 0, start + len(text.rstrip("\n"))) + 1


def marked(script, source, found):
    """Return the lines of a script in which an idea stands, in order, counted from 1; none of them is blank.

    Args:
        script: its name, "mlp_numpy" say.
        source: its text.
        found: the idea, a dict from ideas().

    Raises:
        TourError: a part of the text that tour.toml names occurs in the script not once.
    """
    lines = set()
    for text in [text for name in names(script) for text in found["lines"].get(name, [])]:
        try:
            (first, last), *rest = [place(source, part) for part in text.split(" ... ")]
        except ValueError as error:
            raise TourError(f"docs/tour.toml, {found['key']!r}: in {script}.py {error}.") from None
        last = rest[0][1] if rest else last
        if last < first:
            raise TourError(f"docs/tour.toml, {found['key']!r}: in {script}.py {text!r} ends before it begins.")
        lines.update(range(first, last + 1))
    text = source.splitlines()
    return sorted(line for line in lines if text[line - 1].strip())


def tour(sources):
    """Return the ideas as the page shows them: dicts with key, name, text, lines and how, the latter two by script.

    Args:
        sources: {name of a script: its text}.

    Raises:
        TourError: tour.toml names a text that does not occur once, an idea stands in no line of a script or is not
            explained for it, or a line of Model or Step belongs to no idea.
    """
    found = []
    covered = {script: set() for script in sources}
    for idea in ideas():
        lines = {script: marked(script, source, idea) for script, source in sources.items()}
        how = {script: next((idea["how"][name] for name in reversed(names(script)) if name in idea["how"]), None)
               for script in sources}
        for script in sources:
            meant = idea.get("network", "") in script
            if meant and not (lines[script] and how[script]):
                raise TourError(f"docs/tour.toml, {idea['key']!r}: {script}.py has no line of it or no word on it.")
            covered[script].update(lines[script])
        found.append({"key": idea["key"], "name": idea["name"], "text": " ".join(idea["text"].split()),
                      "lines": lines, "how": how})
    for script, source in sources.items():
        lines = [(room, line) for room, text in rooms(source).items() for line in text.splitlines()]
        for number, (room, line) in enumerate(lines, 1):
            if room in ("Model", "Step") and line.strip(" #") not in ("", room) and number not in covered[script]:
                raise TourError(f"docs/tour.toml: line {number} of {script}.py belongs to no idea: {line.strip()!r}.")
    return found


def dictionary(sources, libraries):
    """Return the ideas down, the libraries across, as a table in Markdown of the very expressions in the scripts.

    Args:
        sources: {name of a script: its text}.
        libraries: {end of a script's name: what the library is called}.

    Raises:
        TourError: an expression of tour.toml does not stand in the script.
    """
    rows = [["", *libraries.values()], ["---"] * (1 + len(libraries))]
    for idea in ideas():
        rows.append([idea["name"]])
        for library in libraries:
            script, expression = f"{idea.get('network', 'mlp')}_{library}", idea["expression"].get(library)
            if expression is not None and expression not in sources[script]:
                raise TourError(f"docs/tour.toml, {idea['key']!r}: {script}.py has no longer {expression!r}.")
            shown = expression and expression.splitlines()[0].replace("|", "\\|")
            rows[-1].append(f"`{shown}`" if expression else "")
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
