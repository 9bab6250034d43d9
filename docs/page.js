"use strict";

const all = selector => [...document.querySelectorAll(selector)];
const byId = id => document.getElementById(id);
const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};


// The scripts, side by side. The address holds the state: #mlp_numpy,mlp_torch and, after more commas, "changes", an
// idea of the tour or the one room to be shown, and "lecture"
const scripts = Object.fromEntries(all("template").map(template => [template.id, {
  name: template.id, file: template.dataset.file, library: template.dataset.library, network: template.dataset.network,
  group: "retired" in template.dataset ? "Retired" : template.dataset.network,
  rooms: [...template.content.querySelectorAll("section")].map(section => ({
    title: section.dataset.room, first: Number(section.dataset.first), text: section.textContent,
    lines: [...section.querySelectorAll("code")],
  })),
}]));
// A line too long for its column may break behind a dot or an opening bracket, but not within a name.
Object.values(scripts).flatMap(script => script.rooms).flatMap(room => room.lines).forEach(line => {
  const texts = document.createNodeIterator(line, NodeFilter.SHOW_TEXT);
  for (const text of Array.from({ length: line.textContent.length }, () => texts.nextNode()).filter(node => node)) {
    text.replaceWith(...text.data.split(/(?<=[.([{])/).flatMap((part, i) => i ? [make("wbr"), part] : [part]));
  }
});
const grid = byId("columns");
let chosen = ["mlp_numpy", "mlp_torch"], changes = false, idea = null, onlyRoom = "", lecture = false, active = 0;

function readAddress() {
  const words = location.hash.slice(1).split(",");
  const names = words.filter(word => word in scripts).slice(0, 3);
  if (names.length >= 2) {
    idea = TOUR.find(each => words.includes(each.key) && names.some(name => each.lines[name]?.length)) ?? null;
    const room = [...byId("room").options].find(each => words.includes(each.value.toLowerCase()));
    onlyRoom = idea ? "" : room?.value ?? "";
    const comparable = names.slice(0, 2).every(name => scripts[name].network !== "Data");
    [chosen, changes, lecture] = [names, !idea && comparable && words.includes("changes"), words.includes("lecture")];
    active = Math.min(active, names.length - 1);
  }
  show();
}

function choose(names, change = {}) {
  const state = { changes, idea, onlyRoom, lecture, ...change };
  const words = [state.changes && "changes", state.idea?.key, state.onlyRoom.toLowerCase(), state.lecture && "lecture"];
  location.hash = [...names, ...words.filter(word => word)].join(",");  // which shows them, by readAddress
}

// Rows of lines [left, right, first], equal ones side by side, null where one side has none, by the longest common
// subsequence; `first` is the row in which the stretch of changed lines begins. Changed lines stand side by side where
// `likeness`, given a line of each, is largest, in order; where it is not above zero, apart.
function align(left, right, likeness) {
  const length = Array.from({ length: left.length + 1 }, () => new Array(right.length + 1).fill(0));
  for (let i = left.length - 1; i >= 0; i--) {
    for (let j = right.length - 1; j >= 0; j--) {
      length[i][j] = left[i] === right[j] ? 1 + length[i + 1][j + 1] : Math.max(length[i + 1][j], length[i][j + 1]);
    }
  }
  const pairs = [];
  let i = 0, j = 0;
  while (i < left.length || j < right.length) {
    const gone = [], come = [];
    while ((i < left.length || j < right.length) && !(i < left.length && j < right.length && left[i] === right[j])) {
      if (j === right.length || (i < left.length && length[i + 1][j] >= length[i][j + 1])) gone.push(i++);
      else come.push(j++);
    }
    const first = pairs.length;
    pairs.push(...pairUp(gone, come, likeness).map(pair => [...pair, first]));
    for (; i < left.length && j < right.length && left[i] === right[j]; i++, j++) pairs.push([i, j, pairs.length]);
  }
  return pairs;
}

// Pairs [left, right] of two lists, in order, null where one has none, that together are likest.
function pairUp(left, right, likeness) {
  const best = Array.from({ length: left.length + 1 }, () => new Array(right.length + 1).fill(0));
  const both = (i, j) => best[i + 1][j + 1] + likeness(left[i], right[j]);
  for (let i = left.length - 1; i >= 0; i--) {
    for (let j = right.length - 1; j >= 0; j--) best[i][j] = Math.max(best[i + 1][j], best[i][j + 1], both(i, j));
  }
  const pairs = [];
  let i = 0, j = 0;
  while (i < left.length || j < right.length) {
    if (i < left.length && j < right.length && likeness(left[i], right[j]) > 0 && best[i][j] === both(i, j)) {
      pairs.push([left[i++], right[j++]]);
    } else if (j === right.length || (i < left.length && best[i][j] === best[i + 1][j])) pairs.push([left[i++], null]);
    else pairs.push([null, right[j++]]);
  }
  return pairs;
}

const wordsOf = text => text.match(/\w+|[^\w\s]/g) ?? [];

// How alike two lines are: the share of words in common, and more if they stand for the same idea of the tour.
function alike(one, other, ideasOfOne, ideasOfOther) {
  const [left, right] = [wordsOf(one), wordsOf(other)];
  const common = left.filter(word => right.includes(word)).length / Math.max(left.length, right.length, 1);
  const shared = ideasOfOne.some(each => ideasOfOther.includes(each)) ? 0.4 : 0;
  return Math.max(common + shared - 0.5, 0);
}

// Marks in a line the words that its counterpart has not, in their order.
function markWords(line, other) {
  const own = wordsOf(line.textContent), theirs = wordsOf(other);
  const kept = new Set(align(own, theirs, () => 0).filter(([i, j]) => i !== null && j !== null).map(([i]) => i));
  let count = 0;
  const texts = document.createNodeIterator(line, NodeFilter.SHOW_TEXT), nodes = [];
  for (let text; (text = texts.nextNode());) nodes.push(text);
  nodes.forEach(text => text.replaceWith(...text.data.split(/(\w+|[^\w\s])/).map((part, i) =>
    i % 2 && !kept.has(count++) ? make("mark", { textContent: part }) : part)));
}

function show() {
  const columns = (changes ? chosen.slice(0, 2) : chosen).map(name => scripts[name]);
  active = Math.min(active, columns.length - 1);
  const focused = document.activeElement?.id;
  const heads = [...grid.querySelectorAll(".head")].slice(0, columns.length);  // kept: one may be in use just now
  while (heads.length < columns.length) heads.push(head(heads.length));
  grid.replaceChildren(...heads);
  columns.forEach((script, c) => {
    heads[c].classList.toggle("active", c === active);
    byId(`script${c}`).value = script.name;
    byId(`copy${c}`).setAttribute("aria-label", `Copy ${script.file}`);
  });
  grid.style.setProperty("--columns", columns.length);
  grid.classList.toggle("changes", changes);
  grid.classList.toggle("tour", idea !== null);
  const free = idea || columns.some(column => column.network === "Data");  // each column flows by itself
  const stacks = free ? stackColumns(columns) : null;
  let row = 2;
  const count = Math.max(...columns.map(column => column.rooms.length));
  for (let r = 0; r < count; r++) {
    const sides = columns.map(column => column.rooms[r]);  // mnist.py has one room, beside all of a script
    const same = sides.every(side => side && side.text === sides[0].text);
    const texts = sides.map(side => side?.lines.map(line => line.textContent));
    const ideasAt = (c, i) => TOUR.filter(each => each.lines[columns[c].name]?.includes(sides[c].first + i));
    const likeness = (i, j) => alike(texts[0][i], texts[1][j], ideasAt(0, i), ideasAt(1, j));
    const pairs = changes ? align(...texts, likeness) : null;
    sides.forEach((side, c) => {
      if (!side) return;
      const element = make("section", { className: "room", tabIndex: 0 }, make("h3", { textContent: side.title }));
      element.setAttribute("aria-label", `${side.title}, ${columns[c].file}`);
      element.dataset.room = side.title;
      element.classList.toggle("same", same);
      const marked = idea?.lines[columns[c].name]?.some(line => line >= side.first
        && line < side.first + side.lines.length);
      const whole = columns[c].rooms.length === 1;
      element.hidden = onlyRoom ? !whole && side.title !== onlyRoom : lecture && idea !== null && !marked;
      element.classList.toggle("second", c === 1);
      const lines = (pairs ?? side.lines.map((_, i) => [i, i, i])).map(pair => {
        if (pair[c] === null) return make("code", { textContent: "" });
        const line = side.lines[pair[c]].cloneNode(true);
        line.dataset.line = side.first + pair[c];
        mark(line, columns[c].name, side.first + pair[c]);
        line.style.setProperty("--indent", line.textContent.search(/\S|$/));  // a wrapped line goes on further right,
        const parts = line.textContent.split(/\s|(?<=[.([{])/);                // if its longest part has room there
        line.style.setProperty("--longest", Math.max(...parts.map(part => part.length)));
        if (pairs) {
          const equal = pair[0] !== null && pair[1] !== null
            && sides[0].lines[pair[0]].textContent === sides[1].lines[pair[1]].textContent;
          line.className = equal ? "equal" : c === 0 ? "removed" : "added";
          if (!equal && pair[1 - c] !== null) markWords(line, texts[1 - c][pair[1 - c]]);
        }
        return line;
      });
      if (pairs) element.append(make("pre", {}, ...lines));
      else element.append(...folded(lines, side.title, columns[c]));
      // On a phone, what changes is one column: of every changed stretch the left lines, then the right ones
      if (pairs) {
        element.querySelector("h3").style.order = 2 * row;
        element.querySelectorAll("code").forEach((line, i) => { line.style.order = 2 * (row + 1 + pairs[i][2]) + c; });
      }
      if (free) stacks[c].append(element);
      else place(element, c, row, pairs ? pairs.length + 1 : 1);
    });
    row += pairs ? pairs.length + 1 : 1;
  }
  byId("tabs").replaceChildren(...columns.map(tab));
  all("button[data-network]").forEach(button => press(button,
    columns.every(column => column.network === "Data" || column.name.startsWith(button.dataset.network))));
  all("[data-columns]").forEach(button => {
    press(button, Number(button.dataset.columns) === columns.length);
    button.disabled = changes && button.dataset.columns === "3";
  });
  byId("changes").disabled = columns.slice(0, 2).some(column => column.network === "Data");
  byId("tabs").hidden = changes;
  press(byId("changes"), changes);
  showTour();
  if (focused) byId(focused)?.focus();
}

// The lines of a room, of which those stay folded that are seldom asked for: a script's metadata and imports, and in
// the tour what is more than two lines away from the idea.
function folded(lines, title, script) {
  const constants = lines.findIndex(line => line.textContent.startsWith("EPOCHS"));
  const near = idea ? lines.map((_, i) => lines.slice(Math.max(i - 2, 0), i + 3).some(line => line.matches(".idea")))
    : lines.map((_, i) => title !== "Start" || i >= constants);
  const parts = [];
  for (let i = 0; i < lines.length;) {
    let end = i;
    while (end < lines.length && near[end] === near[i]) end++;
    const stretch = make("pre", {}, ...lines.slice(i, end));
    if (near[i] || end - i < 3) parts.push(stretch);
    else {
      const words = idea ? `${end - i} lines` : "metadata and imports";
      const details = make("details", {}, make("summary", { textContent: words }), stretch);
      details.querySelector("summary").setAttribute("aria-label", `${words} of ${title}, ${script.file}`);
      details.addEventListener("toggle", level);
      parts.push(details);
    }
    i = end;
  }
  return parts;
}

function place(element, column, row, span) {
  Object.assign(element.style, { gridColumn: column + 1, gridRow: `${row} / span ${span}` });
  element.classList.toggle("active", column === active);
  grid.append(element);
}

function press(button, pressed) {
  button.setAttribute("aria-pressed", pressed);
}

function head(column) {
  const groups = ["MLP", "ConvNet", "Retired", "Data"].map(group => make("optgroup", { label: group },
    ...Object.values(scripts).filter(script => script.group === group).map(script => make("option",
      { value: script.name, textContent: `${script.network}, ${script.library}` }))));
  const select = make("select", { id: `script${column}` }, ...groups);
  select.setAttribute("aria-label", `Script in column ${column + 1}`);
  select.addEventListener("change", () => choose(chosen.map((name, c) => c === column ? select.value : name)));
  const copy = make("button", { type: "button", textContent: "Copy", id: `copy${column}` });
  copy.addEventListener("click", async () => {
    await copyScript(scripts[chosen[column]]);
    copy.textContent = "Copied";
    setTimeout(() => { copy.textContent = "Copy"; }, 2000);
  });
  const element = make("div", { className: "head" }, select, copy);
  element.style.gridColumn = column + 1;
  element.style.gridRow = 1;
  return element;
}

function tab(script, column) {
  const button = make("button", { type: "button", id: `tab${column}`, textContent: `${script.library}` });
  button.setAttribute("role", "tab");
  button.setAttribute("aria-selected", column === active);
  button.tabIndex = column === active ? 0 : -1;
  const turn = to => { active = (to + chosen.length) % chosen.length; show(); byId(`tab${active}`)?.focus(); };
  button.addEventListener("click", () => turn(column));
  button.addEventListener("keydown", event => {
    if (event.key === "ArrowRight") turn(column + 1);
    if (event.key === "ArrowLeft") turn(column - 1);
  });
  return button;
}

async function copyScript(script) {
  const text = script.rooms.map(room => room.text).join("");
  try {
    await navigator.clipboard.writeText(text);
  } catch {  // a page from disk may be refused the clipboard's newer interface
    const area = make("textarea", { value: text });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  byId("said").textContent = `${script.file} is in the clipboard.`;
}

for (const kind of ["pointerover", "focusin"]) {
  grid.addEventListener(kind, event => {
    const room = event.target.closest("[data-room]")?.dataset.room;
    all("#columns [data-room]").forEach(element => element.classList.toggle("marked", element.dataset.room === room));
  });
}
grid.addEventListener("pointerleave", () => all(".marked").forEach(element => element.classList.remove("marked")));
all("button[data-network]").forEach(button => button.addEventListener("click", () => choose(chosen.map(name => {
  if (name === "mnist") return name;
  const other = `${button.dataset.network}_${name.slice(name.indexOf("_") + 1)}`;
  return other in scripts ? other : `${button.dataset.network}_numpy`;  // the browser has no ConvNet
}))));
all("[data-columns]").forEach(button => button.addEventListener("click", () => {
  const spare = Object.keys(scripts).find(name => !chosen.includes(name)
    && scripts[name].network === scripts[chosen[0]].network);
  choose([...chosen, spare].slice(0, Number(button.dataset.columns)), { changes: false });
}));
byId("changes").addEventListener("click", () => choose(chosen, { changes: !changes, idea: null }));
addEventListener("hashchange", readAddress);
all("nav a").forEach(link => link.addEventListener("click", event => {  // without touching the choice in the address
  event.preventDefault();
  document.querySelector(link.hash).scrollIntoView();
}));
byId("beside").addEventListener("click", () => byId("code").scrollIntoView());

// The values of the curves. POINTS holds [x, y, text] of each, x and y in the picture's own units.
const picture = document.querySelector(".curves svg");
const ring = document.createElementNS(picture.namespaceURI, "circle");
Object.entries({ r: 5, fill: "none", stroke: "currentColor", "stroke-width": 1.5, visibility: "hidden" })
  .forEach(([name, value]) => ring.setAttribute(name, value));
picture.append(ring);
picture.addEventListener("pointermove", event => {
  const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(picture.getScreenCTM().inverse());
  const distance = ([px, py]) => Math.hypot(px - x, py - y);
  const nearest = POINTS.reduce((best, point) => distance(point) < distance(best) ? point : best);
  ring.setAttribute("visibility", distance(nearest) < 30 ? "visible" : "hidden");
  if (distance(nearest) < 30) {
    ring.setAttribute("cx", nearest[0]);
    ring.setAttribute("cy", nearest[1]);
    byId("value").textContent = nearest[2];
  }
});
