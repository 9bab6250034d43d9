"""Which characters the PDF can show: those in Matplotlib's fonts, in Typst's, and in the machine's."""
import json
import shutil
import tempfile
import unicodedata
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import typst
from extras.zoo.report import svg  # noqa: F401  before Matplotlib's own: it keeps MPLBACKEND from it
import matplotlib
from matplotlib.ft2font import FT2Font

FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
FILES = "DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSansMono.ttf"  # those that document.typ names


@contextmanager
def folder_of_fonts():
    """Yield a folder with the fonts of the PDF, without Matplotlib's Last Resort, which has a box for any character."""
    with tempfile.TemporaryDirectory() as folder:
        for name in FILES:
            shutil.copy(FONTS / name, folder)
        yield folder


@cache
def characters(path):
    """Return the code points that a font file has."""
    try:
        return frozenset(FT2Font(path).get_charmap())
    except Exception:  # a format that FreeType cannot read
        return frozenset()


def machine_fonts():
    """Return the paths of the font files that Typst finds on this machine."""
    return sorted({font.path for font in typst.Fonts().fonts() if font.path})


def without_a_font(text):
    """Return the characters of a text that the PDF cannot show, as a set."""
    known = characters(FONTS / FILES[0])
    missing = {letter for letter in set(text) - set(map(chr, known))
               if unicodedata.category(letter) not in ("Cc", "Cf", "Mn")}  # few of those have a shape of their own
    if missing:  # only now, since a machine may have thousands of fonts
        for path in machine_fonts():
            missing -= {letter for letter in missing if ord(letter) in characters(path)}
    return missing


def numbered(content):
    """Return the content of a document in which characters without a font are numbers: "[U+4E2D]", and say so."""
    missing = without_a_font(json.dumps(content, ensure_ascii=False))
    note = ("A number such as [U+4E2D] is a Unicode character for which this machine has no font. The HTML page has "
            "the character itself." if missing else "")
    table = {ord(letter): f"[U+{ord(letter):04X}]" for letter in missing}

    def replaced(value):
        if isinstance(value, dict):
            return {name: replaced(each) for name, each in value.items()}
        if isinstance(value, list):
            return [replaced(each) for each in value]
        return value.translate(table) if isinstance(value, str) else value

    return (replaced(content) if missing else content) | {"note": note}
