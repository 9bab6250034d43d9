"""docs/index.html in a real browser, opened from disk as a reader opens it."""
import base64
import shutil
import sys
from itertools import product

import numpy as np
import pytest
from playwright.sync_api import sync_playwright
from test_mnist import HANG

import mlp_numpy
import mnist
from compare.scripts import RETIRED, ROOT, SCRIPTS, path_of

sys.path.append(str(ROOT / "docs"))
import build

PAGE = build.DOCS / "index.html"
BROWSERS = ["chromium", "chromium-browser", "google-chrome", "chrome",
            r"C:\Program Files\Google\Chrome\Application\chrome.exe",
            "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"]
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
FILES = {s: path_of(s) for s in SCRIPTS + RETIRED} | {"mlp_browser": build.DOCS / "mlp_browser.js"}
PAIRS = [pytest.param(list(zip(FILES, [*FILES][1:] + [*FILES][:1])), id="each with the next"),
         pytest.param(list(product(FILES, repeat=2)), id="every pair", marks=pytest.mark.slow)]
in_a_browser = pytest.mark.skipif(BROWSER is None, reason="needs Chromium or Chrome: sudo apt-get install chromium")


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=BROWSER, timeout=1000 * HANG, args=[
            "--no-sandbox", "--disable-gpu", "--disable-background-networking"])


@pytest.fixture
def open_page(browser):
    """Open the page, `open_page("#mlp_numpy,mlp_jax", width=390)`; at the end there must have been no error."""
    contexts, errors, elsewhere = [], [], []

    def open_page(address="", width=1400, height=1000, **options):
        contexts.append(browser.new_context(viewport={"width": width, "height": height}, **options))
        contexts[-1].set_default_timeout(1000 * HANG)  # milliseconds
        page = contexts[-1].new_page()
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: elsewhere.append(request.url)
                if not request.url.startswith((PAGE.as_uri(), "data:", "blob:null/")) else None)
        page.goto(PAGE.as_uri() + address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == [] and elsewhere == []


def choose(page, column, name):
    """Choose a script, and wait for it: the page follows its address a moment later."""
    page.select_option(f"#script{column}", name)
    page.wait_for_function("([column, name]) => chosen[column] === name", arg=[column, name])


def shown(page, column):
    """Return the source that a column shows, joined from its lines."""
    return page.evaluate("column => [...document.querySelectorAll('.room')].filter(room => "
                         "room.style.gridColumn.startsWith(column + 1)).map(room => [...room.querySelectorAll("
                         "'code[data-line]')].map(line => line.textContent).join('')).join('')", column)


def weights_of_the_page():
    with np.load(build.NETWORK) as network:
        weights = np.split(network["weights"].astype(np.float32), np.cumsum([78_400, 100, 1000]))
    return [w.reshape(shape) for w, shape in zip(weights, [(784, 100), 100, (100, 10), 10])]


def test_the_page_is_built_from_the_scripts_as_they_are():
    assert PAGE.read_text(encoding="utf-8") == build.page(), "run python docs/build.py"


def test_the_page_and_the_weights_are_small():
    assert PAGE.stat().st_size < 1_600_000
    with np.load(build.NETWORK) as network:
        assert network["weights"].dtype == np.float16
        assert len(base64.b64encode(network["weights"].tobytes())) < 250_000


def test_the_rooms_of_a_script_joined_are_the_script():
    for path in FILES.values():
        source = path.read_text(encoding="utf-8")
        assert list(build.rooms(source)) == ["Start", *build.ROOMS] and "".join(build.rooms(source).values()) == source
    with pytest.raises(ValueError, match="found Model, Weights"):
        build.rooms("# Model\n# Weights\n")


@in_a_browser
class TestSideBySide:
    @pytest.mark.parametrize("pairs", PAIRS)
    def test_a_pair_can_be_chosen_and_its_address_restores_it(self, open_page, pairs):
        page = open_page()
        for pair in pairs:
            for column, name in enumerate(pair):
                choose(page, column, name)
            assert page.evaluate("location.hash") == f"#{','.join(pair)}" or pair == ("mlp_numpy", "mlp_torch")
        for pair in pairs:
            page.goto("about:blank")
            page.goto(f"{PAGE.as_uri()}#{','.join(pair)}")
            assert tuple(page.input_value(f"#script{column}") for column in (0, 1)) == pair
            assert [shown(page, column) for column in (0, 1)] == [FILES[name].read_text("utf-8") for name in pair]

    def test_what_is_retired_stands_in_a_group_of_its_own(self, open_page):
        options = "[...document.querySelectorAll('#script1 optgroup[label=Retired] option')]"
        assert open_page().evaluate(f"{options}.map(option => option.value)") == RETIRED

    @pytest.mark.parametrize("width", [800, *(pytest.param(width, marks=pytest.mark.slow) for width in (1400, 2000))])
    @pytest.mark.parametrize("pairs", PAIRS)
    def test_the_rooms_stand_row_by_row(self, open_page, pairs, width):
        page = open_page(width=width)
        for names in [*pairs, ("mlp_numpy", "mlp_torch", "conv_jax")]:
            page.evaluate("names => { location.hash = names }", ",".join(names))
            page.wait_for_function("names => names.every((name, c) => byId('script' + c)?.value === name)",
                                   arg=list(names))
            tops = page.evaluate("[...document.querySelectorAll('.room')].map(room => [room.dataset.room, "
                                 "room.getBoundingClientRect().top])")
            assert len(tops) == 5 * len(names) and len({tuple(top) for top in tops}) == 5

    def test_what_changes_is_shown_line_by_line(self, open_page):
        page = open_page("#mlp_numpy,mlp_torch")
        page.click("#changes")
        page.wait_for_function("changes")
        assert page.evaluate("location.hash") == "#mlp_numpy,mlp_torch,changes"
        for column, name in enumerate(["mlp_numpy", "mlp_torch"]):
            assert shown(page, column) == FILES[name].read_text("utf-8")
        lines = page.evaluate("[...document.querySelectorAll('.room code')].map(line => [line.className, "
                              "line.textContent, line.getBoundingClientRect().top])")
        rows = {}
        for kind, text, top in lines:
            rows.setdefault(top, []).append((kind, text))
        assert all(len(row) == 2 for row in rows.values())
        for (left, left_text), (right, right_text) in rows.values():
            assert (left == right == "equal") == (left_text == right_text)
            assert left in ("equal", "removed", "") and right in ("equal", "added", "")
        assert [("equal", "# Step\n")] * 2 in rows.values()
        kinds = [kind for kind, _, _ in lines]
        assert kinds.count("equal") / 2 > 30 and kinds.count("removed") > 10 and kinds.count("added") > 10
        page.click("#changes")
        assert page.evaluate("location.hash") == "#mlp_numpy,mlp_torch"

    def test_rooms_that_are_the_same_are_said_to_be(self, open_page):
        page = open_page("#mlp_torch,conv_torch")
        assert page.evaluate("[...document.querySelectorAll('.same h3')].map(h => h.textContent)") == ["Step"] * 2

    def test_a_room_is_marked_in_all_columns(self, open_page):
        page = open_page("#mlp_numpy,mlp_torch,mlp_jax")
        page.hover("[aria-label='Model, mlp_torch.py']")
        marked = "[...document.querySelectorAll('.marked')].map(room => room.getAttribute('aria-label'))"
        assert page.evaluate(marked) == [f"Model, mlp_{name}.py" for name in ("numpy", "torch", "jax")]
        page.focus("[aria-label='Step, mlp_jax.py']")
        assert page.evaluate(marked) == [f"Step, mlp_{name}.py" for name in ("numpy", "torch", "jax")]

    def test_back_and_forward(self, open_page):
        page = open_page()
        choose(page, 0, "mlp_jax")
        page.click("button[data-network=conv]")
        page.wait_for_function("chosen.join() === 'conv_jax,conv_torch'")
        assert page.input_value("#script0") == "conv_jax" and page.input_value("#script1") == "conv_torch"
        page.go_back()
        page.wait_for_function("byId('script0').value === 'mlp_jax'")
        page.go_forward()
        page.wait_for_function("byId('script0').value === 'conv_jax'")

    def test_the_keyboard_suffices(self, open_page):
        page = open_page()
        stops = []
        while len(stops) < 40 and (not stops or stops[-1] != "copy1"):
            page.keyboard.press("Tab")
            stops.append(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
        assert ["MLP", "ConvNet", "2", "3", "changes"] == stops[4:9]
        assert [s for s in stops if s.startswith(("script", "copy"))] == ["script0", "copy0", "script1", "copy1"]
        page.focus("#script0")
        for _ in range(5):
            page.keyboard.press("ArrowDown")
        page.wait_for_function("chosen.join() === 'mlp_jax,mlp_torch'")
        assert page.evaluate("location.hash") == "#mlp_jax,mlp_torch"
        assert page.evaluate("document.activeElement.id") == "script0"
        page.focus("button[data-columns='3']")
        page.keyboard.press("Enter")
        assert page.evaluate("location.hash") == "#mlp_jax,mlp_torch,mlp_numpy"

    def test_what_is_copied_is_the_file(self, open_page):
        page = open_page(permissions=["clipboard-read", "clipboard-write"])
        for name, path in FILES.items():
            choose(page, 0, name)
            page.click("#copy0")
            page.wait_for_function("name => byId('said').textContent.includes(name)", arg=path.name)
            assert page.evaluate("navigator.clipboard.readText()") == path.read_text("utf-8")

    def test_line_numbers_are_not_selected(self, open_page):
        page = open_page()
        page.click("summary >> nth=0")
        selected = page.evaluate("getSelection().selectAllChildren(document.querySelector('.room pre')) "
                                 "?? getSelection().toString()")
        assert selected.startswith("# /// script\n# requires-python")

    def test_a_phone_has_one_column_and_tabs(self, open_page):
        page = open_page("#mlp_numpy,mlp_torch,mlp_jax", width=390, has_touch=True)
        for column, name in enumerate(["numpy", "torch", "jax"]):
            page.tap(f"#tab{column}")
            page.wait_for_function("column => active === column", arg=column)
            labels = page.evaluate("[...document.querySelectorAll('.room')].filter(room => room.offsetParent)"
                                   ".map(room => room.getAttribute('aria-label'))")
            assert labels == [f"{room}, mlp_{name}.py" for room in ["Start", *build.ROOMS]]

    def test_what_changes_is_one_column_on_a_phone(self, open_page):
        page = open_page("#mlp_numpy,mlp_jax,changes", width=390)
        lines = page.evaluate("[...document.querySelectorAll('.room code')].filter(line => line.offsetParent)"
                              ".map(line => [line.getBoundingClientRect().top, line.className, line.textContent])")
        lines = [(kind, text) for _, kind, text in sorted(lines)]
        for name, kind in ("mlp_numpy", "added"), ("mlp_jax", "removed"):
            assert "".join(text for other, text in lines if other != kind) == FILES[name].read_text("utf-8")
        kinds = [kind for kind, _ in lines]
        assert ("added", "removed") not in zip(kinds, kinds[1:])  # what goes, then what comes, a stretch at a time

    def test_ways_within_the_page_keep_the_choice(self, open_page):
        page = open_page("#mlp_torch,mlp_jax,changes")
        page.click("nav a[href='#draw']")
        assert page.evaluate("location.hash") == "#mlp_torch,mlp_jax,changes"
        page.click("#beside")
        page.wait_for_function("chosen.join() === 'mlp_numpy,mlp_browser'")
        page.wait_for_function("Math.abs(byId('code').getBoundingClientRect().top) < 200")

    def test_print_has_both_columns_and_the_whole_table(self, open_page):
        page = open_page(width=718)  # A4 with ordinary margins
        page.emulate_media(media="print")
        assert page.locator(".room:visible").count() == 10
        assert page.evaluate("document.querySelector('.results').scrollWidth") <= 718


@in_a_browser
@pytest.mark.parametrize("address", ["", "#conv_theano,conv_numpy,conv_keras", "#mlp_torch,conv_tensorflow,changes"])
def test_nothing_scrolls_sideways_on_a_phone(open_page, address):
    page = open_page(address, width=390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@in_a_browser
class TestDrawing:
    def test_a_thousand_digits_are_read_as_numpy_reads_them(self, open_page, monkeypatch):
        monkeypatch.setenv("MNIST_DIR", str(mnist.SAMPLE))
        _, _, (x, _) = mnist.load_data()
        logits, _ = mlp_numpy.forward(x, weights_of_the_page())
        exp = np.exp(logits - logits.max(axis=1, keepdims=True))
        pixels = base64.b64encode(np.round(x * 255).astype(np.uint8).tobytes()).decode()
        found = np.array(open_page().evaluate(
            "text => { const pixels = Float32Array.from(fromBase64(text), value => value / 255); return Array.from("
            "{length: 1000}, (_, i) => [...predict(pixels.subarray(784 * i, 784 * (i + 1)))[1]]) }", pixels))
        assert found.shape == (1000, 10)
        assert np.abs(found - exp / exp.sum(axis=1, keepdims=True)).max() < 1e-3
        assert (found.argmax(axis=1) == logits.argmax(axis=1)).all()

    def test_the_weights_are_those_of_a_trained_network(self, monkeypatch):
        monkeypatch.setenv("MNIST_DIR", str(mnist.SAMPLE))
        _, _, (x, y) = mnist.load_data()
        with np.load(build.NETWORK) as network:
            assert network["accuracy"] >= 0.984
        assert mlp_numpy.accuracy(x, y, weights_of_the_page()) > 0.98

    def test_a_vertical_stroke_is_a_one(self, open_page):
        page = open_page()
        box = page.locator("#pad").bounding_box()
        page.locator("#pad").scroll_into_view_if_needed()
        box = page.locator("#pad").bounding_box()
        page.mouse.move(box["x"] + 190, box["y"] + 40)
        page.mouse.down()
        page.mouse.move(box["x"] + 180, box["y"] + 160, steps=8)
        page.mouse.up()
        assert page.text_content("#answer").startswith("A 1, it says")
        assert page.text_content("#bars tr.best th") == "1"
        seen = np.array(page.evaluate("[...normalized(pad)]")).reshape(28, 28)
        rows, columns = np.nonzero(seen > 0.01)
        assert rows.max() - rows.min() in (19, 20) and columns.max() - columns.min() < 8
        centre = [(seen.sum(axis=axis) * (np.arange(28) + 0.5)).sum() / seen.sum() for axis in (0, 1)]
        assert np.abs(np.array(centre) - 14).max() <= 0.5
        page.click("#clear")
        assert page.text_content("#answer") == "" and page.locator("#bars .best").count() == 0

    def test_a_finger_draws_too(self, open_page):
        page = open_page(width=390, has_touch=True)
        page.locator("#pad").scroll_into_view_if_needed()
        box = page.locator("#pad").bounding_box()
        touch = page.context.new_cdp_session(page)
        points = [[{"x": box["x"] + 140, "y": box["y"] + y}] for y in (40, 90, 140, 190, 240)]
        for kind, where in zip(["touchStart", *["touchMove"] * 4, "touchEnd"], [*points, []]):
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": where})
        page.wait_for_function("byId('answer').textContent.startsWith('A 1')")

    def test_the_ten_digits_are_read_right(self, open_page):
        page = open_page()
        for digit in range(10):
            page.click(f"#samples button:nth-child({digit + 1})")
            assert page.text_content("#answer").startswith(f"A {digit}, it says")
        assert page.locator("#hidden button").count() == 100

    def test_a_hidden_unit_shows_its_weights(self, open_page):
        page = open_page()
        picture = "byId('unit').toDataURL()"
        first = page.evaluate(picture)
        page.click("#hidden button:nth-child(42)")
        assert page.text_content("#unit-title") == "Weights of unit 42"
        assert page.evaluate(picture) != first


@in_a_browser
def test_the_curves_give_their_values(open_page):
    page = open_page()
    x, y, text = page.evaluate("POINTS[POINTS.length - 1]")
    position = page.evaluate("([x, y]) => { const picture = document.querySelector('.curves svg'); "
                             "picture.scrollIntoView({block: 'center'}); const point = new DOMPoint(x, y)"
                             ".matrixTransform(picture.getScreenCTM()); return [point.x, point.y] }", [x, y])
    page.mouse.move(*position)
    assert page.text_content("#value") == text and text.startswith("conv_jax, epoch")
    ends = page.evaluate("""[...document.querySelectorAll('.curves svg use')].map(use => use.getBoundingClientRect())
                            .map(box => [box.x + box.width / 2, box.y + box.height / 2])""")
    assert min(np.hypot(*(np.array(end) - position)) for end in ends) < 60  # the point lies where a curve is drawn


@in_a_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_the_contrast_of_wcag_aa(open_page, scheme):
    page = open_page(color_scheme=scheme)

    def luminance(name):  # https://www.w3.org/TR/WCAG22/#dfn-relative-luminance
        value = page.evaluate("name => getComputedStyle(document.documentElement).getPropertyValue(name)", name).strip()
        channels = np.array([int(value[i:i + 2], 16) for i in (1, 3, 5)]) / 255
        return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4) @ (
            0.2126, 0.7152, 0.0722)

    for text in "--ink", "--quiet", "--accent", "--keyword", "--string", "--comment", "--number", "--name":
        for ground in "--paper", "--panel", "--mark", "--added", "--removed":
            low, high = sorted([luminance(text), luminance(ground)])
            assert (high + 0.05) / (low + 0.05) >= 4.5, f"{text} on {ground}"


@in_a_browser
def test_everything_that_can_be_used_has_a_name(open_page):
    nameless = open_page().evaluate("""[...document.querySelectorAll('button, select, canvas, a, [role], [tabindex]')]
        .filter(each => !each.closest('#samples button canvas') && each.role !== 'status'
            && !each.getAttribute('aria-label') && !each.textContent.trim()
            && !byId(each.getAttribute('aria-labelledby'))?.textContent).map(each => each.outerHTML)""")
    assert nameless == []
