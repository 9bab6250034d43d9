// The tour: the lines of an idea, marked in every column and drawn to one height. TOUR holds the ideas, in order; of
// each, `lines` has the numbers of its lines by script, `how` what is to be said about them there.
function mark(line, script, number) {
  const names = TOUR.filter(each => each.lines[script]?.includes(number)).map(each => each.name);
  if (names.length) line.title = `${names.join("; ")}`;  // on pointing at it
  line.classList.toggle("idea", idea?.lines[script]?.includes(number) ?? false);
}

// In the tour a note above each column; below it, the place in which its rooms stand. Returns these places.
function stackColumns(columns) {
  return columns.map((script, c) => {
    const stack = make("div", { className: "stack" });
    if (idea) place(make("p", { className: "how", textContent: idea.how[script.name] ?? "" }), c, 2, 1);
    place(stack, c, 3, 1);
    return stack;
  });
}

function showTour() {
  byId("idea").value = idea?.key ?? "";
  byId("idea-text").textContent = idea?.text ?? "";
  byId("idea-text").hidden = !idea;
  const possible = ideas();
  [...byId("idea").options].forEach(option => {
    option.hidden = option.value !== "" && !possible.some(each => each.key === option.value);
  });
  byId("room").value = onlyRoom;
  const what = onlyRoom ? "room" : "idea";
  byId("previous").setAttribute("aria-label", `Previous ${what}`);
  byId("next").setAttribute("aria-label", `Next ${what}`);
  document.body.classList.toggle("lecture", lecture);
  press(byId("lecture"), lecture);
  level();
}

// The ideas that stand in one of the columns: an MLP has neither convolution nor pooling.
function ideas() {
  return TOUR.filter(each => chosen.some(name => each.lines[name]?.length));
}

// Stretches of marked lines that stand in the same room, the first beside the first, are pushed down to one height. A
// column that shares no room with the others (Keras, whose fit takes the gradient) has its first beside their first.
function level() {
  all("code.idea").forEach(line => { line.style.marginTop = ""; });
  const stacks = all(".stack").filter(stack => stack.offsetParent !== null);
  const groups = new Map();
  stacks.forEach(stack => {
    for (const room of stack.children) {
      [...room.querySelectorAll("code.idea")].filter(line => !line.previousElementSibling?.matches(".idea"))
        .forEach((line, i) => {
          const key = `${room.dataset.room} ${i}`;
          groups.set(key, [...(groups.get(key) ?? []), line]);
        });
    }
  });
  const shared = [...groups.values()].filter(group => group.length > 1);
  const alone = stacks.filter(stack => !shared.flat().some(line => stack.contains(line)))
    .map(stack => stack.querySelector("code.idea")).filter(line => line);
  if (alone.length) {
    const first = shared[0] ?? [];
    [shared[0]] = [[...first, ...alone]];
  }
  const top = line => line.getBoundingClientRect().top;
  const highest = group => Math.min(...group.map(top));
  shared.sort((a, b) => highest(a) - highest(b)).forEach(group => {
    const lowest = Math.max(...group.map(top));
    group.forEach(line => { line.style.marginTop = `${lowest - top(line)}px`; });
  });
}

// To the next idea, or, where one room is shown, to the next of these; a negative number goes back.
function go(steps) {
  const possible = onlyRoom ? [...byId("room").options].map(room => room.value).filter(room => room) : ideas();
  const at = possible.indexOf(onlyRoom || idea);
  const to = at < 0 && steps < 0 ? possible.length - 1 : (at + steps + possible.length) % possible.length;
  const next = possible[to];
  visit(onlyRoom ? { onlyRoom: next } : { idea: next });
}

function visit(change) {
  choose(chosen, { changes: false, idea: null, onlyRoom: "", ...change });
  readAddress();
  document.querySelector(".toolbar").scrollIntoView();
}

byId("idea").addEventListener("change", event => {
  visit({ idea: TOUR.find(each => each.key === event.target.value) ?? null });
});
byId("room").addEventListener("change", event => visit({ onlyRoom: event.target.value }));
byId("lecture").addEventListener("click", () => {
  byId("lecture").blur();  // or the space bar would end it
  choose(chosen, { lecture: !lecture, onlyRoom: lecture || idea || changes || onlyRoom ? onlyRoom : "Weights" });
});
byId("previous").addEventListener("click", () => go(-1));
byId("next").addEventListener("click", () => go(1));
addEventListener("keydown", event => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.target.closest("select, input, [role=tab]")) return;
  if ((idea || onlyRoom) && event.key === "ArrowRight") go(1);
  if ((idea || onlyRoom) && event.key === "ArrowLeft") go(-1);
  if (lecture && event.key === "l") {  // the next library in the last column
    const possible = Object.keys(scripts).filter(name => scripts[name].network === scripts[chosen[0]].network
      && !chosen.slice(0, -1).includes(name));
    choose([...chosen.slice(0, -1), possible[(possible.indexOf(chosen.at(-1)) + 1) % possible.length]]);
  }
  if (lecture && ["PageDown", "PageUp"].includes(event.key)) {  // what a presenter's remote control sends
    event.preventDefault();
    go(event.key === "PageDown" ? 1 : -1);
  }
  if (lecture && event.key === "Escape") choose(chosen, { lecture: false, onlyRoom: "" });
});
addEventListener("resize", level);
readAddress();
