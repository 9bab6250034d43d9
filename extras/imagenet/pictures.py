"""Makes any picture one that the records hold: a JPEG in RGB, upright, its shorter side 256 pixels."""
import io

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from extras.imagenet.records import RecordsError

SIDE, QUALITY = 256, 90  # pixels of the shorter side; JPEG's quality
PHOTOMETRIC = 262  # the tag in a TIFF that is 0 if its value 0 is white
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
        with open(path, "rb") as file:
            _identified(file)  # before a file that is no picture is read, however large it is
            file.seek(0)
            content = file.read()
    except OSError as error:
        raise RecordsError(f"{path} cannot be read: {error.strerror}. What has been packed is whole. See to it that "
                           "the file can be read, then the same command goes on.") from None
    except MemoryError:
        raise _too_large(path) from None
    try:
        with Image.open(io.BytesIO(content)) as image:
            if max(image.size) > LONGEST * min(image.size):
                raise UndecodableError("{} x {} pixels, more than {} times as long as it is wide".format(
                    *image.size, LONGEST))
            image.draft("RGB", (2 * SIDE, 2 * SIDE))  # a large JPEG need not be decoded whole
            image.load()
            negative = getattr(image, "tag_v2", {}).get(PHOTOMETRIC) == 0
            image = _in_rgb(_upright(image), negative)
        size = [round(length * SIDE / min(image.size)) for length in image.size]
        file = io.BytesIO()
        image.resize(size, Image.Resampling.BICUBIC).save(file, "JPEG", quality=QUALITY)
        return file.getvalue()
    except UndecodableError:
        raise
    except MemoryError:
        raise _too_large(path) from None
    except Exception as error:  # Pillow has many for what is no picture
        raise UndecodableError(str(error) or type(error).__name__) from None


def _identified(file):
    try:
        Image.open(file)
    except MemoryError:
        raise
    except Exception as error:
        if getattr(error, "errno", None):  # the file cannot be read
            raise
        raise UndecodableError("its content is not that of a picture" if isinstance(error, UnidentifiedImageError)
                               else str(error) or type(error).__name__) from None


def _too_large(path):
    return RecordsError(f"{path} needs more memory than there is. What has been packed is whole. Free some, then the "
                        "same command goes on, or take the file out and name another folder.")


def _upright(image):
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # Pillow has many for damaged metadata, which says nothing then; the pixels are decoded
        return image


def _in_rgb(image, negative):
    """Return a picture in RGB: values of more than 8 bits are scaled to the largest, transparency is laid on white.

    Pillow itself turns round values of 8 bits in which 0 is white. Where there are more bits, `negative` says that.
    """
    if image.mode[0] in "IF":  # whole numbers of 16 or 32 bits, or floats
        values = np.nan_to_num(np.asarray(image, np.float64), posinf=0, neginf=0)
        values -= min(values.min(), 0)
        values *= 255 / (values.max() or 1)
        return Image.fromarray(np.uint8(255 - values if negative else values)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")
