"""The tour finds every idea in every script, marks it, and says so when a script changes; a lecture can be read."""
import pytest
import test_page
from test_page import FILES, PAGE, build
from tour import TourError

from compare.scripts import SCRIPTS

browser, open_page, in_a_browser = test_page.browser, test_page.open_page, test_page.in_a_browser
SOURCES = {script: FILES[script].read_text("utf-8") for script in SCRIPTS}
IDEAS = build.tour(SOURCES)
VISIBLE = "all('.room').filter(room => room.offsetParent).map(room => room.dataset.room)"


def ranges(lines):
    """Return line numbers as "3-5 9"."""
    found = []
    for line in lines:
        found.append([found.pop()[0], line] if found and found[-1][1] == line - 1 else [line, line])
    return " ".join(f"{first}" if first == last else f"{first}-{last}" for first, last in found)


def test_every_idea_is_found_in_each_of_the_twelve():
    for idea in IDEAS:
        print(f"\n{idea['name']}")
        for script in SCRIPTS:
            print(f"    {script:16}{ranges(idea['lines'][script])}")
            meant = script.startswith("conv") or idea["key"] not in ("convolution", "pooling")
            assert bool(idea["lines"][script]) == meant
            assert idea["how"][script] or not meant
    assert len(IDEAS) == 14 and all(idea["text"] for idea in IDEAS)


@pytest.mark.parametrize("script, before, after, said", [
    ("mlp_jax", "jax.grad(loss)", "jax.value_and_grad(loss)",
     "'gradient': in mlp_jax.py 'jax.grad(loss)' occurs 0 times"),
    ("conv_torch", "# Training\n", "# Training\nDEVICE = torch.accelerator\n",
     "'device': in conv_torch.py 'DEVICE = torch.accelerator' occurs 2 times"),
    ("mlp_numpy", "    w1, b1, w2, b2 = weights\n    hidden", "    w1, b1, w2, b2 = weights\n\n    hidden", None),
    ("mlp_torch", "    optimizer.step()\n", "    clip()\n    optimizer.step()\n",
     "of mlp_torch.py belongs to no idea: 'clip()'"),
    ("mlp_theano", "loss = (T.log", "loss = (", "'loss': in mlp_theano.py 'loss = (T.log' occurs 0 times")])
def test_a_script_that_changes_without_the_tour_is_named(script, before, after, said):
    assert SOURCES[script].count(before) == 1
    changed = SOURCES | {script: SOURCES[script].replace(before, after)}
    if said is None:
        build.tour(changed)
    else:
        with pytest.raises(TourError) as error:
            build.tour(changed)
        assert said in str(error.value)


def check_idea(page, idea, names):
    """Hold what the page shows of an idea to tour.toml: its lines, marked, the first ones side by side, its words."""
    page.wait_for_function("key => byId('idea').value === key", arg=idea["key"])
    stacks = page.evaluate("all('.stack').map(stack => [...stack.querySelectorAll('code.idea')]"
                           ".map(line => [Number(line.dataset.line), line.getBoundingClientRect().top]))")
    assert [[line for line, _ in stack] for stack in stacks] == [idea["lines"][name] for name in names]
    tops = [stack[0][1] for stack in stacks if stack]
    rooms = page.evaluate("all('.stack').map(stack => stack.querySelector('code.idea')?.closest('.room').dataset.room)")
    assert len(set(rooms)) > 1 or max(tops) - min(tops) < 1
    assert all(0 < top < page.viewport_size["height"] for top in tops)
    assert page.text_content("#idea-text") == idea["text"]
    assert page.locator(".how").all_text_contents() == [idea["how"][name] for name in names]
    assert page.evaluate("location.hash") == f"#{','.join(names)},{idea['key']}"


@in_a_browser
@pytest.mark.parametrize("names", [("mlp_numpy", "mlp_torch"), pytest.param(
    ("conv_tensorflow", "conv_jax", "conv_keras"), marks=pytest.mark.slow)])
def test_the_tour_leads_through_all_ideas_by_click_and_by_key(open_page, names):
    page = open_page(f"#{','.join(names)}")
    ideas = [idea for idea in IDEAS if any(idea["lines"][name] for name in names)]
    for idea in ideas:
        page.click("#next")
        check_idea(page, idea, names)
    page.keyboard.press("ArrowRight")
    for idea in ideas[1:]:
        page.keyboard.press("ArrowRight")
        check_idea(page, idea, names)
    page.keyboard.press("ArrowLeft")
    check_idea(page, ideas[-2], names)
    page.click("#previous")
    check_idea(page, ideas[-3], names)
    page.select_option("#idea", "update")
    check_idea(page, next(idea for idea in ideas if idea["key"] == "update"), names)
    page.select_option("#idea", "")
    page.wait_for_function("!all('.stack').length && !all('code.idea').length")


@in_a_browser
def test_keras_whose_fit_takes_the_gradient_has_it_beside_the_others(open_page):
    page = open_page("#mlp_numpy,mlp_keras,mlp_torch,gradient")
    tops = page.evaluate("all('.stack').map(stack => stack.querySelector('code.idea').getBoundingClientRect().top)")
    assert max(tops) - min(tops) < 1


@in_a_browser
def test_a_line_names_its_ideas_and_what_is_folded_can_be_opened(open_page):
    page = open_page("#mlp_numpy,mlp_torch")
    line = page.locator(".room code", has_text="loss.backward()")
    assert line.get_attribute("title") == "The gradient; What runs when"
    assert not page.locator("text=import numpy as np").first.is_visible()
    page.click("summary >> nth=0")
    assert page.locator("text=import numpy as np").first.is_visible()


@in_a_browser
def test_a_lecture_shows_one_thing_at_a_time_and_breaks_no_name(open_page):
    page = open_page("#mlp_numpy,mlp_torch", width=1280, height=720)
    page.click("#lecture")
    page.wait_for_function("document.body.classList.contains('lecture')")
    names = ["mlp_numpy", "mlp_torch"]
    seen = []
    for _ in range(6):
        rooms = page.evaluate(VISIBLE)
        assert len(rooms) == 2 and len(set(rooms)) == 1
        seen.append(rooms[0])
        page.keyboard.press("ArrowRight")
        page.wait_for_function("room => byId('room').value !== room", arg=seen[-1])
    assert seen == ["Weights", "Model", "Step", "Training", "Start", "Weights"]
    page.keyboard.press("l")
    page.wait_for_function("chosen[1] === 'mlp_jax'")
    for names in zip(SCRIPTS[::2], [*SCRIPTS[1::2], SCRIPTS[0]]):
        for room in build.ROOMS:
            page.evaluate("hash => { location.hash = hash }", f"{','.join(names)},{room.lower()},lecture")
            page.wait_for_function("([name, room]) => chosen[0] === name && onlyRoom === room", arg=[names[0], room])
            sizes, broken = page.evaluate("""() => {
                const lines = all('.room pre code').filter(line => line.offsetParent), broken = [];
                for (const line of lines) {
                    const texts = document.createNodeIterator(line, NodeFilter.SHOW_TEXT);
                    for (let text; text = texts.nextNode();) {
                        for (const match of text.data.matchAll(/\\w+/g)) {
                            const range = document.createRange();
                            range.setStart(text, match.index);
                            range.setEnd(text, match.index + match[0].length);
                            const tops = new Set([...range.getClientRects()].map(box => box.top));
                            if (tops.size > 1) broken.push(match[0]);
                        }
                    }
                }
                return [lines.map(line => parseFloat(getComputedStyle(line).fontSize)), broken];
            }""")
            assert min(sizes) >= 22 and broken == []
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.keyboard.press("Escape")
    page.wait_for_function("!document.body.classList.contains('lecture')")
    assert page.is_visible("#results")


@in_a_browser
def test_an_address_leads_to_an_idea_a_room_and_the_drawing(open_page):
    page = open_page("#conv_numpy,conv_jax,pooling")
    check_idea(page, IDEAS[3], ["conv_numpy", "conv_jax"])
    page.goto("about:blank")
    page.goto(f"{PAGE.as_uri()}#mlp_numpy,mlp_jax,step")
    assert page.evaluate(VISIBLE) == ["Step"] * 2
    page.goto("about:blank")
    page.goto(f"{PAGE.as_uri()}#draw")
    page.wait_for_function("byId('draw').getBoundingClientRect().top < innerHeight / 2")


@in_a_browser
def test_the_data_can_be_opened_beside_a_script(open_page):
    page = open_page("#mlp_numpy,mlp_torch")
    page.select_option("#script1", "mnist")
    page.wait_for_function("chosen[1] === 'mnist'")
    shown = page.evaluate("all('.stack').map(stack => [...stack.querySelectorAll('code')].map(line => line.textContent)"
                          ".join(''))")
    assert shown == [SOURCES["mlp_numpy"], FILES["mlp_numpy"].with_name("mnist.py").read_text("utf-8")]
    assert page.is_disabled("#changes")
    page.click("button[data-network=conv]")
    page.wait_for_function("chosen.join() === 'conv_numpy,mnist'")
    page.select_option("#idea", "batches")
    page.wait_for_function("all('code.idea').length > 3")
    page.click("#lecture")
    page.wait_for_function("document.body.classList.contains('lecture')")
