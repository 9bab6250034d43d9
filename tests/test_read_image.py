"""What a user of mnist.read_image relies on: a picture of a digit becomes what a network trained on MNIST can read."""
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont, ImageOps
from test_scripts import FULL

import conv_torch
import mnist

FONTS = Path(matplotlib.get_data_path(), "fonts", "ttf")
BLUE, BLACK, GRAY, RED = (30, 50, 150), (25, 25, 30), (95, 95, 95), (150, 30, 40)
PAPER, BOARD, CHALK = (235, 230, 215), (40, 55, 50), (225, 225, 220)
# The network of the sample, 97% on handwriting, reads only fonts that resemble it. One of all of MNIST reads more.
PRINTED = [  # digit, font, its size, angle, size of the picture, paper, pen, kind of file
    (0, "STIXGeneralItalic", 50, 8, (80, 60), PAPER, BLACK, "png"),
    (1, "DejaVuSerif", 220, -8, (300, 400), BOARD, CHALK, "jpg"),
    (2, "cmss10", 500, 6, (1600, 1200), PAPER, BLUE, "jpg"),
    (3, "DejaVuSerif-Italic", 300, -5, (640, 480), PAPER, RED, "png"),
    (4, "cmss10", 150, 4, (320, 240), BOARD, CHALK, "png"),
    (5, "DejaVuSans-Oblique", 700, -4, (1200, 1600), PAPER, GRAY, "jpg"),
    (6, "STIXGeneral", 120, -8, (200, 300), BOARD, CHALK, "jpg"),
    (7, "cmr10", 260, 7, (500, 500), PAPER, BLUE, "png"),
    (8, "STIXGeneralItalic", 90, -6, (120, 160), PAPER, GRAY, "jpg"),
    (9, "DejaVuSans", 400, 5, (900, 700), PAPER, BLACK, "exif.jpg")]


def photograph(ink, size, rng, paper=PAPER, pen=BLUE):
    """Return a picture of the ink, white on black, on rough and unevenly lit paper, taken by a noisy camera."""
    mask = Image.new("L", size)
    mask.paste(ink, tuple(rng.integers(1, np.subtract(size, ink.size))))
    mask = np.float32(mask)[..., None] / 255
    rough = sum(np.float32(Image.fromarray(rng.normal(0, 2, (n, n)).astype(np.float32)).resize(size)) for n in (12, 50))
    across, down = np.meshgrid(*(np.linspace(0, 1, side) for side in size))
    light = 1 - np.abs(rng.uniform(-0.4, 0.4) * (across - rng.integers(2)) + rng.uniform(0, 0.3) * down)
    colors = (paper * (1 - mask) + pen * mask + rough[..., None]) * light[..., None]
    return Image.fromarray(np.uint8(np.clip(colors + rng.normal(0, 6, colors.shape), 0, 255)))


def printed(digit, font, points, angle):
    picture = Image.new("L", (2 * points, 2 * points))
    font = ImageFont.truetype(FONTS / f"{font}.ttf", points)
    ImageDraw.Draw(picture).text((points, points), str(digit), fill=255, anchor="mm", font=font)
    picture = picture.rotate(angle, Image.Resampling.BICUBIC)
    return picture.crop(picture.getbbox())


@pytest.fixture(scope="module")
def digits():
    """The sample's 1,000 test digits as pictures, white on black, and their labels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MNIST_DIR", str(mnist.SAMPLE))
        *_, (x, y) = mnist.load_data(reshape=(28, 28))
    return [Image.fromarray(image) for image in np.uint8(np.rint(255 * x))], y


def trained(data, epochs):
    """Return a function that predicts the digits of images (n, 1, 28, 28), by a ConvNet trained on those in `data`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MNIST_DIR", str(data))
        model, _ = conv_torch.train(epochs)
    return lambda x: model.eval()(torch.from_numpy(x).to(conv_torch.DEVICE)).argmax(dim=1).cpu().numpy()


@pytest.fixture(scope="module")
def predict():
    return trained(mnist.SAMPLE, epochs=10)


def read(folder, picture, name="digit.png", **options):
    """Save a picture in the folder, read it with mnist.read_image, and return its 28 x 28 pixels."""
    picture.save(folder / name, **options)
    return mnist.read_image(folder / name, reshape=(28, 28))[0]


def test_at_least_nine_of_ten_printed_digits_are_recognized(predict, tmp_path):
    images, rng = [], np.random.default_rng(0)
    for digit, font, points, angle, size, paper, pen, kind in PRINTED:
        picture, exif = photograph(printed(digit, font, points, angle), size, rng, paper, pen), Image.Exif()
        if kind == "exif.jpg":  # taken with the phone on its side; the file says so
            picture, exif[0x0112] = picture.transpose(Image.Transpose.ROTATE_90), 6
        images.append(read(tmp_path, picture, f"digit.{kind}", exif=exif))
    assert (predict(np.stack(images)[:, None]) == np.arange(10)).sum() >= 9


@pytest.mark.full
@pytest.mark.skipif(FULL is None, reason="needs the whole of MNIST: run mlp_numpy.py to download it, or set MNIST_DIR")
def test_trained_on_all_of_mnist_it_recognizes_nine_of_ten_in_other_fonts(tmp_path):
    images, rng = [], np.random.default_rng(0)
    for font in "DejaVuSans", "DejaVuSerif", "DejaVuSansMono", "STIXGeneral", "cmss10":
        for digit in range(10):
            ink = printed(digit, font, int(rng.integers(50, 300)), rng.uniform(-8, 8))
            images.append(read(tmp_path, photograph(ink, (640, 480), rng), "digit.jpg"))
    assert (trained(FULL, epochs=3)(np.stack(images)[:, None]) == np.arange(50) % 10).mean() >= 0.9


@pytest.mark.parametrize("paper, pen", [(PAPER, BLUE), (BOARD, CHALK)])
def test_at_least_nine_of_ten_photographs_of_handwriting_are_recognized(digits, predict, tmp_path, paper, pen):
    images, rng = [], np.random.default_rng(1)
    for digit in digits[0][:40]:
        side = int(rng.integers(100, 350))
        picture = photograph(digit.resize((side, side)), (640, 480), rng, paper, pen)  # resize is smooth
        images.append(read(tmp_path, picture, "digit.jpg", quality=int(rng.integers(50, 95))))
    assert (predict(np.stack(images)[:, None]) == digits[1][:40]).mean() >= 0.9


@pytest.mark.parametrize("change", [
    lambda digit: digit, ImageOps.invert, lambda digit: ImageOps.expand(digit.resize((300, 300)), (120, 50, 80, 50))])
def test_a_digit_of_mnist_comes_back_nearly_unchanged(digits, tmp_path, change):
    difference = [np.abs(read(tmp_path, change(digit)) - np.float32(digit) / 255).mean() for digit in digits[0][:100]]
    assert np.mean(difference) < 0.035 and max(difference) < 0.1  # 0.13 is the mean pixel, 0.07 a shift by half a pixel


def test_the_digit_is_20_pixels_long_and_its_center_of_mass_is_in_the_middle(digits, tmp_path):
    for digit in digits[0][:40]:
        image = read(tmp_path, photograph(digit.resize((200, 200)), (400, 300), np.random.default_rng(2)))
        assert (image.dtype, image.min(), image.max()) == (np.float32, 0, 1)
        rows, columns = np.nonzero(image)
        assert abs(max(np.ptp(rows), np.ptp(columns)) + 1 - 20) <= 1
        assert np.abs([np.average(i, weights=image) - 14 for i in np.indices((28, 28))]).max() <= 0.501


def test_an_inverted_picture_gives_the_same_image(digits, tmp_path):
    picture = photograph(digits[0][0].resize((200, 200)), (400, 300), np.random.default_rng(3))
    np.testing.assert_allclose(read(tmp_path, ImageOps.invert(picture)), read(tmp_path, picture), atol=0.1)


@pytest.mark.parametrize("convert", [
    lambda gray: Image.merge("LA", (Image.new("L", gray.size), ImageOps.invert(gray))),  # black on transparent
    lambda gray: gray.convert("RGB").quantize(16),
    lambda gray: Image.fromarray(np.asarray(gray).astype(np.uint16) * 150 + 2000)], ids=["alpha", "palette", "16 bits"])
def test_the_number_of_colors_and_bits_makes_no_difference(digits, tmp_path, convert):
    gray = ImageOps.invert(ImageOps.expand(digits[0][1].resize((200, 200)), 50))
    assert np.abs(read(tmp_path, convert(gray)) - read(tmp_path, gray)).mean() < 0.03


def test_a_phone_held_sideways_makes_no_difference(digits, tmp_path):
    gray, exif = ImageOps.expand(digits[0][1].resize((200, 200)), 50), Image.Exif()
    exif[0x0112] = 6  # the file says how to turn the picture
    turned = read(tmp_path, gray.transpose(Image.Transpose.ROTATE_90), "digit.jpg", exif=exif)
    assert np.abs(turned - read(tmp_path, gray)).mean() < 0.03


def test_specks_beside_the_digit_make_no_difference(digits, tmp_path):
    picture = photograph(digits[0][1].resize((200, 200)), (640, 480), np.random.default_rng(5))
    clean = read(tmp_path, picture)
    for x, y in (20, 30), (610, 15), (320, 465), (15, 440):
        picture.paste(BLACK, (x, y, x + 4, y + 4))
    assert np.abs(read(tmp_path, picture) - clean).mean() < 0.03


def test_a_picture_has_the_shape_asked_for(digits, tmp_path):
    digits[0][0].save(tmp_path / "digit.png")
    flat = mnist.read_image(tmp_path / "digit.png")
    assert flat.shape == (1, 784)
    for shape in (28, 28, 1), (1, 28, 28):
        np.testing.assert_array_equal(mnist.read_image(tmp_path / "digit.png", shape), flat.reshape(1, *shape))
    for shape in 783, (28.0, 28), "square":
        with pytest.raises(ValueError, match="reshape is .* hold 784 values"):
            mnist.read_image(tmp_path / "digit.png", shape)


@pytest.mark.parametrize("picture", [
    Image.new("L", (1, 1)), Image.new("RGB", (300, 200), "white"),
    photograph(Image.new("L", (9, 9)), (640, 480), np.random.default_rng(4))], ids=["1x1", "white", "empty paper"])
def test_a_picture_without_a_digit_is_refused(tmp_path, picture):
    with pytest.raises(mnist.DataError) as error:
        read(tmp_path, picture)
    assert str(error.value).startswith(f"{tmp_path / 'digit.png'} shows no digit. Take a picture")


@pytest.mark.parametrize("content", [None, b"", b"a text", b"\x89PNG\r\n\x1a\n broken"])
def test_what_is_no_picture_is_named(tmp_path, content):
    path = tmp_path / "digit.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(mnist.DataError) as error:
        mnist.read_image(path)
    assert str(error.value).startswith(f"{path}: ") and "PNG or JPEG" in str(error.value)


def test_without_pillow_the_message_says_how_to_install_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(mnist.DataError, match="python -m pip install pillow"):
        mnist.read_image(tmp_path / "digit.png")
