"""Makes any picture one that the records hold: a JPEG in RGB, upright, its shorter side 256 pixels."""
import io

import numpy as np
from PIL import Image, ImageOps

from extras.imagenet.records import RecordsError

SIDE, QUALITY = 256, 90  # pixels of the shorter side; JPEG's quality
LONGEST = 255  # times the shorter side, because a JPEG has at most 65,535 pixels each way


class UndecodableError(Exception):
    """A file has been read, but is no picture that can be packed; the message says why."""


def shrunk(path):
    """Return the picture in a file as a JPEG in RGB, upright, its shorter side 256 pixels.

    Raises:
        RecordsError: the file cannot be read. It may be a picture.
        UndecodableError: it is no picture that can be packed.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RecordsError(f"{path} cannot be read: {error.strerror}. What has been packed is whole. See to it that "
                           "the file can be read, then the same command goes on.") from None
    try:
        with Image.open(io.BytesIO(content)) as image:
            if max(image.size) > LONGEST * min(image.size):
                raise UndecodableError("{} x {} pixels, more than {} times as long as it is wide".format(
                    *image.size, LONGEST))
            image.draft("RGB", (2 * SIDE, 2 * SIDE))  # a large JPEG need not be decoded whole
            image.load()
            image = _in_rgb(_upright(image))
        size = [round(length * SIDE / min(image.size)) for length in image.size]
        file = io.BytesIO()
        image.resize(size, Image.Resampling.BICUBIC).save(file, "JPEG", quality=QUALITY)
        return file.getvalue()
    except UndecodableError:
        raise
    except MemoryError:
        raise RecordsError(f"{path} needs more memory than there is. What has been packed is whole. Free some, then "
                           "the same command goes on, or take the file out and name another folder.") from None
    except Exception as error:  # Pillow has many for what is no picture
        raise UndecodableError(str(error) or type(error).__name__) from None


def _upright(image):
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # Pillow has many for damaged metadata, which says nothing then; the pixels are decoded
        return image


def _in_rgb(image):
    """Return a picture in RGB: values of more than 8 bits are scaled to the largest, transparency is laid on white."""
    if image.mode[0] in "IF":  # whole numbers of 16 or 32 bits, or floats
        values = np.nan_to_num(np.asarray(image, np.float64), posinf=0, neginf=0)
        values -= min(values.min(), 0)
        return Image.fromarray(np.uint8(values * (255 / (values.max() or 1)))).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")
