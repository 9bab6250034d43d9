"""However the four files are damaged, mnist.py returns what they hold or refuses them in a line that names the file."""
import gzip

import numpy as np
import pytest
from test_mnist import NAMES, parse, unparse

import mnist


def damaged(content, rng):
    """Return the bytes with one random damage."""
    i, j = sorted(rng.integers(len(content) + 1, size=2))
    if rng.random() < 0.5:  # near the beginning, where the format is announced
        i, j = sorted(rng.integers(24, size=2))
    noise = rng.bytes(j - i)
    return [content[:i], content[i:], content[:i] + content[j:], content[:i] + noise + content[j:],
            content[:i] + noise + content[i:], content[:i] + bytes(j - i) + content[j:], noise, content + noise,
            content[:i] + content[i:j][::-1] + content[j:]][rng.integers(9)]


@pytest.fixture(scope="module")
def whole():
    rng = np.random.default_rng(3)
    return {name: unparse(rng.integers(256, size=(count, 28, 28), dtype=np.uint8) if "images" in name
                          else rng.integers(10, size=count, dtype=np.uint8))
            for name, count in zip(NAMES, (60, 60, 20, 20))}


@pytest.mark.parametrize("name", NAMES)
def test_damage_is_refused_or_makes_no_difference_to_what_is_right(name, whole, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MNIST_DIR", str(tmp_path))
    for other in NAMES:
        (tmp_path / other).write_bytes(whole[other])
    returned = refused = 0
    for seed in range(1000):
        rng = np.random.default_rng(seed)
        pack = [bytes, gzip.compress][seed % 2]
        content = damaged(pack(whole[name]), rng)
        (tmp_path / name).write_bytes(content)
        try:
            (x, y), _, (x_test, y_test) = mnist.load_data(validation_size=0)
        except mnist.DataError as error:
            assert str(tmp_path) in str(error) and "\n" not in str(error), seed
            refused += 1
            continue
        returned += 1
        if seed % 2:
            content = gzip.decompress(content)
        expected = [parse(content if each == name else whole[each]) for each in NAMES]
        for found, right in zip((x * 255, y, x_test * 255, y_test), expected):
            np.testing.assert_array_equal(np.rint(found).reshape(right.shape), right, err_msg=f"seed {seed}")
    assert returned > 20 and refused > 500 and capsys.readouterr().err == ""
