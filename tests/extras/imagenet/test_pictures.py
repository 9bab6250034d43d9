"""Any picture that Pillow decodes is packed with its content; what is no picture is told from what cannot be read."""
import io
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from extras.imagenet import pictures
from extras.imagenet.pictures import UndecodableError, shrunk
from extras.imagenet.records import RecordsError

RAMP = np.linspace(0, 1, 300)[None, :].repeat(260, axis=0)  # from black to white


def packed(image, path, **options):
    """Return the picture that is packed of an image, float from 0 to 1, (256, width, 3)."""
    if isinstance(image, bytes):
        path.write_bytes(image)
    else:
        image.save(path, **options)
    return np.asarray(Image.open(io.BytesIO(shrunk(path))), float) / 255


@pytest.mark.parametrize("name, values", [
    ("16.png", (RAMP * 65535).astype(np.uint16)), ("16.tif", (RAMP * 65535).astype(np.uint16)),
    ("12 of 16.png", (RAMP * 4095).astype(np.uint16)), ("32.tif", (RAMP * 1e9).astype(np.int32)),
    ("float.tif", RAMP.astype(np.float32)), ("large float.tif", (RAMP * 1e6).astype(np.float32)),
    ("negative.tif", (RAMP * 200 - 100).astype(np.float32)), ("8.png", (RAMP * 255).astype(np.uint8))])
def test_values_of_more_than_eight_bits_keep_their_content(name, values, tmp_path):
    found = packed(Image.fromarray(values), tmp_path / name)
    assert np.allclose(found[128, [5, 75, 148, 220, 289]].mean(axis=1), [0.02, 0.25, 0.5, 0.745, 0.98], atol=0.03)


def test_values_that_are_no_numbers_are_black(tmp_path):
    values = RAMP.astype(np.float32)
    values[:100], values[100:120] = np.nan, np.inf
    found = packed(Image.fromarray(values), tmp_path / "nan.tif")
    assert found[:90].max() < 0.1 and found[200, 280].mean() > 0.9
    assert packed(Image.fromarray(0 * RAMP.astype(np.float32)), tmp_path / "black.tif").max() == 0


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB key"])
def test_transparency_is_laid_on_white(mode, tmp_path):
    alpha = np.zeros((260, 300), np.uint8)
    alpha[100:160] = 255  # a black bar on transparency, under which black is hidden
    image = Image.merge("LA", [Image.new("L", (300, 260)), Image.fromarray(alpha)])
    options = {}
    if mode == "RGB key":  # PNG can name one color that is transparent
        color = np.where(alpha[..., None] == 255, np.uint8([0, 0, 0]), np.uint8([0, 255, 0]))
        image, options = Image.fromarray(color), {"transparency": (0, 255, 0)}
    elif mode == "P":
        indices = Image.fromarray((alpha == 255).astype(np.uint8), "L").convert("P")
        indices.putpalette([9, 9, 9, 0, 0, 0])
        image, options = indices, {"transparency": 0}
    found = packed(image.convert("RGBA") if mode == "RGBA" else image, tmp_path / "bar.png", **options)
    assert found[128].max() < 0.1 and found[[20, 230]].min() > 0.9


@pytest.mark.parametrize("form", ["png", "webp", "jpg"])
def test_damaged_metadata_does_not_cost_the_pixels(form, tmp_path):
    image = Image.fromarray((RAMP[..., None] * [255, 0, 0]).astype(np.uint8))
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x05\x01\x12\0\x03\xff\xff\xff\xff" + bytes(3)
    found = packed(image, tmp_path / f"broken.{form}", exif=exif)
    assert found[128, 280, 0] > 0.85 and found[128, 280, 1] < 0.15


@pytest.mark.parametrize("size", [(60_000, 1), (1, 60_000), (20_000, 2), (256 * 5, 5)])
def test_a_strip_is_named_before_it_takes_memory(size, tmp_path):
    Image.new("L", size).save(tmp_path / "strip.png")
    tracemalloc.start()
    try:
        with pytest.raises(UndecodableError, match=f"{size[0]} x {size[1]} pixels, more than 255 times as long"):
            shrunk(tmp_path / "strip.png")
        assert tracemalloc.get_traced_memory()[1] < 1e7
    finally:
        tracemalloc.stop()
    Image.new("L", (255 * 2, 2)).save(tmp_path / "strip.png")
    assert Image.open(io.BytesIO(shrunk(tmp_path / "strip.png"))).size == (255 * 256, 256)


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), PermissionError(13, "Permission denied"),
                                   FileNotFoundError(2, "No such file or directory")])
def test_what_cannot_be_read_may_be_a_picture(error, tmp_path, monkeypatch):
    def denied(path, mode):
        raise error

    monkeypatch.setattr(pictures, "open", denied, raising=False)
    with pytest.raises(RecordsError, match=rf"1\.jpg cannot be read: {error.strerror}\. .* the same command goes on"):
        shrunk(tmp_path / "1.jpg")


def test_too_little_memory_says_nothing_about_a_picture(tmp_path, monkeypatch):
    Image.new("RGB", (9, 9)).save(tmp_path / "1.png")

    def too_large(*_):
        raise MemoryError

    for name in "_in_rgb", "_identified":
        monkeypatch.setattr(pictures, name, too_large)
        with pytest.raises(RecordsError, match=r"1\.png needs more memory than there is"):
            shrunk(tmp_path / "1.png")


def test_a_large_file_that_is_no_picture_is_not_read_whole(tmp_path):
    with open(tmp_path / "movie.jpg", "wb") as file:
        file.truncate(10**9)
    tracemalloc.start()
    try:
        with pytest.raises(UndecodableError, match="its content is not that of a picture"):
            shrunk(tmp_path / "movie.jpg")
        assert tracemalloc.get_traced_memory()[1] < 1e7
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("values", [  # Pillow turns round 8 bits as it writes them, but not 16
    (RAMP * 255).astype(np.uint8), ((1 - RAMP) * 65535).astype(np.uint16)], ids=["8 bits", "16 bits"])
def test_a_tiff_in_which_zero_is_white_is_no_negative(values, tmp_path):
    found = packed(Image.fromarray(values), tmp_path / "negative.tif", tiffinfo={262: 0})
    assert Image.open(tmp_path / "negative.tif").tag_v2[262] == 0
    assert found[128, 5].mean() < 0.1 and found[128, 290].mean() > 0.9


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"text\n" * 99])
def test_what_is_no_picture_says_why(content, tmp_path):
    (tmp_path / "1.jpg").write_bytes(content)
    with pytest.raises(UndecodableError) as raised:
        shrunk(tmp_path / "1.jpg")
    assert str(raised.value)
