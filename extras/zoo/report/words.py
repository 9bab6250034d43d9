"""How counts, shares and other values read: in the report, and in the messages of who makes it."""


def count(number, noun):
    """Return "1 run", "2 runs"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def shorten(text, length=60):
    """Return a text in quotation marks, its end cut off where it has more than `length` letters."""
    return repr(text if len(text) <= length else text[:length - 1] + "…")


def percent(value):
    """Return a share from 0 to 1 as a percentage with two digits, None as a dash."""
    return "–" if value is None else f"{100 * value:.2f} %"


def words(value):
    """Return a value of run.json as the text that the documents show."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.6g}" if abs(value) < 1e6 else f"{value:,.0f}"
    if isinstance(value, list):
        return " × ".join(map(words, value)) if all(isinstance(v, int) for v in value) else ", ".join(map(words, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {words(each)}" for name, each in value.items())
    return str(value)
