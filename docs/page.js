"use strict";

const all = selector => [...document.querySelectorAll(selector)];
const byId = id => document.getElementById(id);
const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};


// The scripts, side by side. The address holds the state: #mlp_numpy,mlp_torch or #mlp_numpy,mlp_torch,changes
const scripts = Object.fromEntries(all("template").map(template => [template.id, {
  name: template.id, file: template.dataset.file, library: template.dataset.library, network: template.dataset.network,
  rooms: [...template.content.querySelectorAll("section")].map(section => ({
    title: section.dataset.room, first: Number(section.dataset.first), text: section.textContent,
    lines: [...section.querySelectorAll("code")],
  })),
}]));
const grid = byId("columns");
let chosen = ["mlp_numpy", "mlp_torch"], changes = false, active = 0;

function readAddress() {
  const words = location.hash.slice(1).split(",");
  const names = words.filter(word => word in scripts).slice(0, 3);
  if (names.length >= 2) {
    [chosen, changes] = [names, words.includes("changes")];
    active = Math.min(active, names.length - 1);
  }
  show();
}

function choose(names, withChanges = changes) {
  location.hash = [...names, ...(withChanges ? ["changes"] : [])].join(",");  // which shows them, by readAddress
}

// Rows of lines [left, right, first], equal ones side by side, null where one side has none, by the longest common
// subsequence; `first` is the row in which the stretch of changed lines begins.
function align(left, right) {
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
    for (let k = 0; k < Math.max(gone.length, come.length); k++) pairs.push([gone[k] ?? null, come[k] ?? null, first]);
    for (; i < left.length && j < right.length && left[i] === right[j]; i++, j++) pairs.push([i, j, pairs.length]);
  }
  return pairs;
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
  let row = 2;
  columns[0].rooms.forEach((room, r) => {
    const sides = columns.map(column => column.rooms[r]);
    const same = sides.every(side => side.text === room.text);
    const pairs = changes ? align(...sides.map(side => side.lines.map(line => line.textContent))) : null;
    sides.forEach((side, c) => {
      const element = make("section", { className: "room", tabIndex: 0 }, make("h3", { textContent: side.title }));
      element.setAttribute("aria-label", `${side.title}, ${columns[c].file}`);
      element.dataset.room = side.title;
      element.classList.toggle("same", same);
      element.classList.toggle("second", c === 1);
      element.append(make("pre", {}, ...(pairs ?? side.lines.map((_, i) => [i, i, i])).map(pair => {
        if (pair[c] === null) return make("code", { textContent: "" });
        const line = side.lines[pair[c]].cloneNode(true);
        line.dataset.line = side.first + pair[c];
        line.style.setProperty("--indent", line.textContent.search(/\S|$/));  // a wrapped line goes on further right
        if (pairs) {
          const equal = pair[0] !== null && pair[1] !== null
            && sides[0].lines[pair[0]].textContent === sides[1].lines[pair[1]].textContent;
          line.className = equal ? "equal" : c === 0 ? "removed" : "added";
        }
        return line;
      })));
      // On a phone, what changes is one column: of every changed stretch the left lines, then the right ones
      if (pairs) {
        element.querySelector("h3").style.order = 2 * row;
        element.querySelectorAll("code").forEach((line, i) => { line.style.order = 2 * (row + 1 + pairs[i][2]) + c; });
      }
      place(element, c, row, pairs ? pairs.length + 1 : 1);
    });
    row += pairs ? pairs.length + 1 : 1;
  });
  byId("tabs").replaceChildren(...columns.map(tab));
  all("button[data-network]").forEach(button => press(button,
    columns.every(column => column.name.startsWith(button.dataset.network))));
  all("[data-columns]").forEach(button => {
    press(button, Number(button.dataset.columns) === columns.length);
    button.disabled = changes && button.dataset.columns === "3";
  });
  byId("tabs").hidden = changes;
  press(byId("changes"), changes);
  if (focused) byId(focused)?.focus();
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
  const groups = ["MLP", "ConvNet"].map(network => make("optgroup", { label: network },
    ...Object.values(scripts).filter(script => script.network === network).map(script => make("option",
      { value: script.name, textContent: `${network}, ${script.library}` }))));
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
  const other = `${button.dataset.network}_${name.split("_")[1]}`;
  return other in scripts ? other : `${button.dataset.network}_numpy`;  // the browser has no ConvNet
}))));
all("[data-columns]").forEach(button => button.addEventListener("click", () => {
  const spare = Object.keys(scripts).find(name => !chosen.includes(name)
    && scripts[name].network === scripts[chosen[0]].network);
  choose([...chosen, spare].slice(0, Number(button.dataset.columns)), false);
}));
byId("changes").addEventListener("click", () => choose(chosen, !changes));
addEventListener("hashchange", readAddress);
all("nav a").forEach(link => link.addEventListener("click", event => {  // without touching the choice in the address
  event.preventDefault();
  document.querySelector(link.hash).scrollIntoView();
}));
byId("beside").addEventListener("click", () => byId("code").scrollIntoView());
readAddress();


// Draw a digit
function fromBase64(text) {
  return Uint8Array.from(atob(text), character => character.charCodeAt(0));
}

function fromFloat16(bits) {
  const exponent = bits >> 10 & 31, fraction = (bits & 1023) / 1024;
  return (bits >> 15 ? -1 : 1) * (exponent ? 2 ** (exponent - 15) * (1 + fraction) : 2 ** -14 * fraction);
}

const weights = splitWeights(Float32Array.from(new Uint16Array(fromBase64(WEIGHTS).buffer), fromFloat16));
const pad = byId("pad"), ink = pad.getContext("2d", { willReadFrequently: true });
let unit = null;

// 784 values in [0, 1] of what is drawn: its box scaled into 20 x 20, its centre of mass in the middle of 28 x 28.
function normalized(canvas) {
  const { width, height } = canvas;
  const pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  let [left, right, top, bottom] = [width, -1, height, -1];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (pixels[4 * (y * width + x)] > 0) {
        [left, right, top, bottom] = [Math.min(left, x), Math.max(right, x), Math.min(top, y), Math.max(bottom, y)];
      }
    }
  }
  const values = new Float32Array(784);
  if (right < 0) return values;
  const scale = 20 / Math.max(right - left + 1, bottom - top + 1);
  // The share of every drawn pixel that falls on each of the small ones: an average over areas
  const small = new Float64Array(400);
  let [mass, massX, massY] = [0, 0, 0];
  for (let y = top; y <= bottom; y++) {
    for (let x = left; x <= right; x++) {
      const value = pixels[4 * (y * width + x)] / 255;
      if (value === 0) continue;
      for (const [row, high] of shares((y - top) * scale, scale)) {
        for (const [column, wide] of shares((x - left) * scale, scale)) {
          small[row * 20 + column] += value * high * wide;
          [mass, massX, massY] = [mass + value * high * wide, massX + value * high * wide * (column + 0.5),
            massY + value * high * wide * (row + 0.5)];
        }
      }
    }
  }
  const toX = Math.round(14 - massX / mass), toY = Math.round(14 - massY / mass);
  small.forEach((value, i) => {
    const x = i % 20 + toX, y = Math.floor(i / 20) + toY;
    if (x >= 0 && x < 28 && y >= 0 && y < 28) values[y * 28 + x] = Math.min(1, value);
  });
  return values;
}

// How much of the stretch from `start`, `length` long, lies on each cell of length 1: [[cell, share], ...]
function shares(start, length) {
  const found = [];
  for (let cell = Math.floor(start); cell < Math.min(20, start + length); cell++) {
    const share = Math.min(cell + 1, start + length) - Math.max(cell, start);
    if (share > 1e-9) found.push([cell, share]);
  }
  return found;
}

function predict(x) {
  const [logits, hidden] = forward(x, weights);
  return [hidden, softmax(logits)];
}

function showPrediction(x) {
  const empty = x.every(value => value === 0);
  paint(byId("seen"), x, value => [255 * value, 255 * value, 255 * value]);
  const [hidden, probabilities] = predict(x);
  const largest = Math.max(...hidden, 1e-9), best = probabilities.indexOf(Math.max(...probabilities));
  all("#hidden button").forEach((button, i) => {
    const light = empty ? 0 : Math.round(100 * hidden[i] / largest);
    button.style.background = `color-mix(in oklab, var(--positive) ${light}%, var(--panel))`;
    button.setAttribute("aria-label", `Unit ${i + 1}, activation ${empty ? 0 : hidden[i].toFixed(2)}`);
  });
  all("#bars tr").forEach((row, digit) => {
    row.classList.toggle("best", !empty && digit === best);
    row.querySelector(".bar").style.width = empty ? "0" : `${100 * probabilities[digit]}%`;
    row.querySelector(".probability").textContent = empty ? "–" : `${(100 * probabilities[digit]).toFixed(1)} %`;
  });
  byId("answer").textContent = empty ? "" : `A ${best}, it says, with ${(100 * probabilities[best]).toFixed(1)} %.`;
}

function paint(canvas, values, colour) {
  const context = canvas.getContext("2d"), image = context.createImageData(28, 28);
  values.forEach((value, i) => image.data.set([...colour(value), 255], 4 * i));
  context.putImageData(image, 0, 0);
}

function showUnit(i) {
  unit = i;
  const incoming = Array.from({ length: 784 }, (_, pixel) => weights[0][pixel * 100 + i]);
  const largest = Math.max(...incoming.map(Math.abs));
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const [zero, positive, negative] = dark ? [[22, 24, 28], [255, 154, 98], [125, 176, 255]]
    : [[255, 255, 255], [194, 65, 12], [11, 87, 194]];
  paint(byId("unit"), incoming, value => zero.map((channel, c) =>
    channel + ((value > 0 ? positive : negative)[c] - channel) * Math.abs(value) / largest));
  all("#hidden button").forEach((button, j) => press(button, i === j));
  byId("unit-title").textContent = `Weights of unit ${i + 1}`;
}

function clear() {
  ink.fillStyle = "#000";
  ink.fillRect(0, 0, pad.width, pad.height);
  showPrediction(new Float32Array(784));
}

let last = null;
const position = event => {
  const box = pad.getBoundingClientRect();
  return [(event.clientX - box.left) * pad.width / box.width, (event.clientY - box.top) * pad.height / box.height];
};
function stroke(event) {
  const [x, y] = position(event);
  Object.assign(ink, { strokeStyle: "#fff", lineWidth: 22, lineCap: "round", lineJoin: "round" });
  ink.beginPath();
  ink.moveTo(...(last ?? [x, y]));
  ink.lineTo(x, y);
  ink.stroke();
  last = [x, y];
}
pad.addEventListener("pointerdown", event => {
  pad.setPointerCapture(event.pointerId);
  last = null;
  stroke(event);
});
pad.addEventListener("pointermove", event => {
  if (last) (event.getCoalescedEvents?.() ?? [event]).forEach(stroke);
});
for (const kind of ["pointerup", "pointercancel"]) {
  pad.addEventListener(kind, () => {
    if (last) showPrediction(normalized(pad));
    last = null;
  });
}
byId("clear").addEventListener("click", clear);

const digits = fromBase64(DIGITS);
for (let digit = 0; digit < 10; digit++) {
  const x = Float32Array.from(digits.subarray(784 * digit, 784 * (digit + 1)), value => value / 255);
  const canvas = make("canvas", { width: 28, height: 28 });
  paint(canvas, x, value => [255 * value, 255 * value, 255 * value]);
  const button = make("button", { type: "button" }, canvas);
  button.setAttribute("aria-label", `A ${digit} of the test set`);
  button.addEventListener("click", () => {
    clear();
    ink.imageSmoothingEnabled = false;
    ink.drawImage(canvas, 0, 0, pad.width, pad.height);
    showPrediction(x);
  });
  byId("samples").append(button);
}
for (let i = 0; i < 100; i++) {
  const button = make("button", { type: "button" });
  button.addEventListener("click", () => showUnit(i));
  byId("hidden").append(button);
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => showUnit(unit));
clear();
showUnit(0);


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
