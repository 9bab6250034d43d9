"""The network that learns in the page: it is the network of the twelve, and the page does with it what it says."""
import base64

import numpy as np
import pytest
import test_page

import mnist
from compare import adapters, reference, same

browser, open_page = test_page.browser, test_page.open_page
pytestmark = test_page.in_a_browser


def in_base64(array):
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def train(page, until, **settings):
    """Choose the settings, press Train or Start again, wait until the page says so, and return the curve."""
    for name, value in settings.items():
        page.select_option(f"#{name}", str(value))
    page.click("#again" if page.is_enabled("#again") else "#train")
    wait_until_it_says(page, until)
    return page.evaluate("latest.accuracies")


def wait_until_it_says(page, text):
    page.wait_for_function("text => byId('progress').textContent.startsWith(text)", arg=text)


def test_it_goes_the_way_of_the_reference(open_page):
    """Like adapters.py, replace its first weights and its epoch from outside, and let its own train() do the rest."""
    asked = same.asked_for("mlp_numpy")
    (x, y), (right, order) = same.digits(), same.way(*asked)
    loss, gradients = same.first_step(*asked)
    text = open_page().evaluate("""([x, y, order, weights, batch, rate]) => {
        const pixels = fromBase64(x), labels = fromBase64(y), digits = order.length;
        const inOrder = new Float32Array(784 * digits);
        order.forEach((from, to) => inOrder.set(pixels.subarray(784 * from, 784 * from + 784), 784 * to));
        const data = [inOrder.map(value => value / 255), Uint8Array.from(order, from => labels[from])];
        const start = () => weights.map(array => new Float32Array(fromBase64(array).buffer));
        const [gradient, loss] = gradients(data[0].subarray(0, 784 * batch), data[1].subarray(0, batch), start());
        initWeights = start;
        mnist.epoch = (x, y) => [x, y];
        const states = [...train([data, data], { epochs: 1, batchSize: batch, learningRate: rate })];
        const end = states.at(-1).weights;
        const numbers = Float32Array.from([loss, ...[...gradient, ...end].flatMap(array => [...array])]);
        return btoa(Array.from(new Uint8Array(numbers.buffer), byte => String.fromCharCode(byte)).join(""));
    }""", [in_base64(np.round(x * 255).astype(np.uint8)), in_base64(y.astype(np.uint8)), order.tolist(),
           [in_base64(array) for array in reference.PARAMETERS["mlp"]], asked[1], adapters.CALM * asked[2]])
    found = np.frombuffer(base64.b64decode(text), np.float32)
    assert found[0] == pytest.approx(loss, rel=1e-6)
    parts = np.split(found[1:], np.cumsum([array.size for array in [*gradients, *right]])[:-1])
    errors = [same.difference(part.reshape(array.shape), array) for part, array in zip(parts, [*gradients, *right])]
    print(f"in the browser: gradient {max(errors[:4]):.1e}, parameters after {same.STEPS} steps {max(errors[4:]):.1e}")
    assert max(errors[:4]) <= same.GRADIENT_LIMIT
    assert max(errors[4:]) <= same.END_LIMITS["mlp"]


def test_its_digits_are_those_of_the_sample_in_a_new_order_and_moved(open_page, monkeypatch):
    monkeypatch.setenv("MNIST_DIR", str(mnist.SAMPLE))
    (x, y), (x_valid, y_valid), _ = mnist.load_data()
    texts = open_page().evaluate("""async () => {
        const data = await mnist.loadData(byId("images").textContent, byId("labels").textContent);
        const moved = mnist.epoch(...data[0], mnist.generator(1));
        const bytes = array => array instanceof Uint8Array ? array : Uint8Array.from(array, v => Math.round(255 * v));
        return [...data.flat(), ...moved].map(array => btoa(Array.from(bytes(array), byte =>
            String.fromCharCode(byte)).join("")));
    }""")
    found = [np.frombuffer(base64.b64decode(text), np.uint8) for text in texts]
    for array, right in zip(found, [x, y, x_valid, y_valid]):
        assert (array == np.round(right.ravel() * (255 if right is x or right is x_valid else 1))).all()
    images, moved, labels = found[0].reshape(-1, 28, 28), found[4].reshape(-1, 28, 28), found[5]
    framed, origin = np.pad(images, [(0, 0), (1, 1), (1, 1)]), {}
    for down in range(3):
        for right in range(3):
            for i, image in enumerate(framed[:, down:down + 28, right:right + 28]):
                origin[image.tobytes()] = i, down, right
    order, *offsets = np.array([origin[image.tobytes()] for image in moved]).T
    assert (np.sort(order) == np.arange(len(y))).all() and (order != np.arange(len(y))).mean() > 0.99
    assert (labels == y[order]).all()
    counts = np.unique(np.array(offsets).T, axis=0, return_counts=True)[1]
    assert len(counts) == 9 and counts.min() > 0.9 * len(y) / 9


def learn_without_end(page):
    """Let the network of the page learn at a rate of 0.3 until it is paused, however late that is."""
    text = page.text_content("#network")
    for old, new in ("EPOCHS = 20", "EPOCHS = Infinity"), ("(epoch - 1 + i / steps) / epochs", "0.2"):
        assert text.count(old) == 1
        text = text.replace(old, new)
    page.evaluate("text => { byId('network').textContent = text }", text)
    page.select_option("#rate", "0.3")
    page.click("#train")


def test_it_learns_pauses_and_goes_on(open_page):
    page = open_page()
    assert page.workers == []
    learn_without_end(page)
    page.wait_for_function("latest?.accuracies.at(-1) >= 0.9")
    assert len(page.workers) == 1  # which is why the page stays quick
    page.focus("#train")
    page.keyboard.press("Enter")
    wait_until_it_says(page, "Paused: after")
    assert page.text_content("#train") == "Go on"
    paused = page.evaluate("[latest.accuracies.length, latest.epoch, [...latest.weights[2]]]")
    assert page.is_checked("#by-trained")
    assert page.evaluate("[...predict(drawn)[1]]") == page.evaluate("[...softmax(forward(drawn, latest.weights)[0])]")
    # A step that the worker had planned would come before this timer of its own, and post what there is to show.
    assert page.workers[0].evaluate("""new Promise(done => {
        const post = postMessage;
        postMessage = () => done("something");
        setTimeout(() => { postMessage = post; done("nothing"); }, 100);
    })""") == "nothing"
    assert page.evaluate("[latest.accuracies.length, latest.epoch, [...latest.weights[2]]]") == paused
    page.keyboard.press("Enter")
    page.wait_for_function("count => byId('curve').getAttribute('aria-label').split(',').length - 1 > count",
                           arg=paused[0])
    assert page.text_content("#train") == "Pause"


@pytest.mark.slow
def test_the_same_settings_give_the_same_curve_and_nobody_is_talked_to_death(open_page):
    page = open_page()
    page.evaluate("""window.sentences = []; new MutationObserver(() => sentences.push(byId("progress").textContent))
                     .observe(byId("progress"), { childList: true })""")
    first = train(page, "Done", units=10)
    seconds, sentences = page.evaluate("[performance.now() / 1000, sentences]")
    assert len(first) == 21 and first[0] < 0.3 < 0.8 < first[-1]
    assert len(sentences) <= 2 + seconds / 5
    page.evaluate("byId('progress').textContent = ''")
    assert train(page, "Done") == first
    assert page.locator("#curve .earlier").count() == 1


def test_a_rate_that_is_too_large_ends_in_a_sentence(open_page):
    page = open_page()
    train(page, "The loss is no longer a number; start again with a smaller rate.", rate=10, batch=1)
    assert page.is_disabled("#by-trained") and page.is_checked("#by-numpy")
    page.click("#samples button:nth-child(4)")
    assert page.text_content("#answer").startswith("A 3, it says")
    for name, value in [("rate", "1"), ("batch", "100"), ("units", "10")]:
        page.select_option(f"#{name}", value)
    page.click("#train")
    page.wait_for_function("all('#curve .earlier').length === 1 && latest?.accuracies.length > 3")


@pytest.mark.slow
def test_the_pad_asks_the_network_that_has_learned(open_page):
    page = open_page()
    page.click("#samples button:nth-child(8)")
    before = page.text_content("#bars")
    train(page, "Done", units=10)
    assert page.is_checked("#by-trained") and page.text_content("#trained").endswith("on validation after 20 epochs")
    assert page.text_content("#hidden-title") == "10 hidden units" and page.locator("#hidden button").count() == 10
    assert page.text_content("#bars") != before and page.text_content("#answer").startswith("A 7, it says")
    assert page.evaluate("[...predict(drawn)[1]]") == page.evaluate("[...softmax(forward(drawn, latest.weights)[0])]")
    page.check("#by-numpy")
    assert page.text_content("#bars") == before and page.locator("#hidden button").count() == 100
    page.check("#by-trained")
    assert page.text_content("#bars") != before


@pytest.mark.slow
def test_the_pictures_change_while_it_learns(open_page):
    page = open_page()
    page.wait_for_function("firstWeights.length > 0")
    picture = "byId('learned').toDataURL()"
    begin = page.evaluate(picture)
    learn_without_end(page)
    page.wait_for_function(f"begin => {picture} !== begin", arg=begin)
    page.click("#train")
    wait_until_it_says(page, "Paused")
    end = page.evaluate(picture)
    page.check("#less")
    assert end != page.evaluate(picture)


def test_what_it_sees_and_says_follows_the_pen(open_page):
    page = open_page()
    page.evaluate("byId('pad').scrollIntoView({ block: 'center' })")
    box = page.locator("#pad").bounding_box()
    page.mouse.move(box["x"] + 140, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 140, box["y"] + 240, steps=8)
    page.wait_for_function("document.querySelector('#bars .best th')?.textContent === '1'")
    assert page.text_content("#answer") == ""  # which is read out: one sentence a stroke is enough
    page.mouse.up()
    assert page.text_content("#answer").startswith("A 1, it says")


@pytest.mark.slow
def test_the_unit_that_is_shown_is_the_most_active_and_its_weights_go_to_the_digits(open_page):
    page = open_page()
    for digit in range(10):
        page.click(f"#samples button:nth-child({digit + 1})")
        hidden = page.evaluate("[...predict(drawn)[0]]")
        assert page.text_content("#unit-title") == f"Weights of unit {np.argmax(hidden) + 1}"
        assert page.text_content("#activation") == f", active: {max(hidden):.2f}"
    page.click("#hidden button:nth-child(42)")
    w2 = test_page.weights_of_the_page()[2]
    said = [float(text.replace("−", "-")) for text in page.locator("#outgoing .weight").all_text_contents()]
    assert said == pytest.approx(w2[41], abs=0.0051)
    kinds = page.evaluate("[...document.querySelectorAll('.vote')].map(bar => bar.classList.contains('positive'))")
    assert kinds == (w2[41] > 0).tolist()


@pytest.mark.slow
def test_a_phone_has_the_pad_and_the_answer_on_one_screen(open_page):
    page = open_page(width=390, height=664, has_touch=True)
    page.tap("#samples button:nth-child(4)")
    page.wait_for_function("byId('answer').textContent.startsWith('A 3')")
    page.evaluate("byId('draw').scrollIntoView()")
    for element in "#pad", "#bars", "#answer", "#clear":
        box = page.locator(element).bounding_box()
        assert 0 <= box["y"] and box["y"] + box["height"] <= 664
    assert page.locator("#hidden button").first.bounding_box()["width"] >= 24
