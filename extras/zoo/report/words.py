"""How counts, shares and other values read: in the report, and in the messages of who makes it."""
import math
import re

# Neither XML nor UTF-8 has these control characters and halves of surrogate pairs; JSON may hold them.
IMPOSSIBLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def count(number, noun):
    """Return "1 run", "2 runs"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def shorten(text, length=60):
    """Return a text in quotation marks, its end cut off where it has more than `length` letters."""
    return repr(cut(text, length))


def cut(text, length=500):
    """Return a text, its end cut off where it has more than `length` letters."""
    return text if len(text) <= length else text[:length - 1] + "…"


def possible(value):
    """Return dicts, lists and texts with each character that a document cannot hold replaced by U+FFFD."""
    if isinstance(value, dict):
        return {possible(name): possible(each) for name, each in value.items()}
    if isinstance(value, list):
        return [possible(each) for each in value]
    return IMPOSSIBLE.sub("\ufffd", value) if isinstance(value, str) else value


def percent(value):
    """Return a share from 0 to 1 as a percentage with two digits, None as a dash."""
    return "–" if value is None else "NaN" if value != value else f"{100 * value:.2f} %"


def words(value):
    """Return a value of run.json as the text that the documents show."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "infinite" if value > 0 else "minus infinite"
    if isinstance(value, float):
        return f"{value:,.0f}" if 1e6 <= abs(value) < 1e15 else f"{value:.6g}"
    if isinstance(value, list):
        return " × ".join(map(words, value)) if all(isinstance(v, int) for v in value) else ", ".join(map(words, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {words(each)}" for name, each in value.items())
    return str(value)
