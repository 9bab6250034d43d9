// Draw a digit
function fromFloat16(bits) {
  const exponent = bits >> 10 & 31, fraction = (bits & 1023) / 1024;
  return (bits >> 15 ? -1 : 1) * (exponent ? 2 ** (exponent - 15) * (1 + fraction) : 2 ** -14 * fraction);
}

function splitWeights(numbers) {  // all 79,510 in a row
  let end = 0;
  return [784 * 100, 100, 100 * 10, 10].map(size => numbers.subarray(end, end += size));
}

const networks = {
  numpy: splitWeights(Float32Array.from(new Uint16Array(fromBase64(WEIGHTS).buffer), fromFloat16)),
  trained: null,  // learn.js brings it
};
const pad = byId("pad"), ink = pad.getContext("2d", { willReadFrequently: true });
let weights = networks.numpy, drawn = new Float32Array(784);
let unit = 0, picked = false;  // the hidden unit whose weights are shown, and whether the reader asked for it

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

// What the network makes of x. `done` is false while a stroke is drawn: then no sentence is said, and the unit stays.
function showPrediction(x, done = true) {
  drawn = x;
  const empty = x.every(value => value === 0);
  paint(byId("seen"), x, value => [255 * value, 255 * value, 255 * value]);
  const [hidden, probabilities] = predict(x);
  const largest = Math.max(...hidden), best = probabilities.indexOf(Math.max(...probabilities));
  all("#hidden button").forEach((button, i) => {
    const light = empty ? 0 : Math.round(100 * hidden[i] / Math.max(largest, 1e-9));
    button.style.background = `color-mix(in oklab, var(--positive) ${light}%, var(--panel))`;
    button.setAttribute("aria-label", `Unit ${i + 1}, activation ${empty ? 0 : hidden[i].toFixed(2)}`);
  });
  all("#bars tr").forEach((row, digit) => {
    row.classList.toggle("best", !empty && digit === best);
    row.querySelector(".bar").style.width = empty ? "0" : `${100 * probabilities[digit]}%`;
    row.querySelector(".probability").textContent = empty ? "–" : `${(100 * probabilities[digit]).toFixed(1)} %`;
  });
  const said = empty || !done ? "" : `A ${best}, it says, with ${(100 * probabilities[best]).toFixed(1)} %.`;
  if (byId("answer").textContent !== said) byId("answer").textContent = said;  // else it would be read out again
  showUnit(picked || !done ? unit : hidden.indexOf(largest));
  byId("activation").textContent = empty ? "" : hidden[unit] > 0 ? `, active: ${hidden[unit].toFixed(2)}` : ", silent";
}

function paint(canvas, values, colour) {
  const context = canvas.getContext("2d"), image = context.createImageData(28, 28);
  values.forEach((value, i) => image.data.set([...colour(value), 255], 4 * i));
  context.putImageData(image, 0, 0);
}

// A function from a weight to its colour: none at 0, that of ink that excites or inhibits at plus or minus `largest`
function colourOf(largest) {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const [zero, positive, negative] = dark ? [[22, 24, 28], [255, 154, 98], [125, 176, 255]]
    : [[255, 255, 255], [194, 65, 12], [11, 87, 194]];
  return value => zero.map((channel, c) =>
    channel + ((value > 0 ? positive : negative)[c] - channel) * Math.abs(value) / largest);
}

function showUnit(i) {
  unit = i;
  const [w1, b1, w2] = weights;
  const incoming = Array.from({ length: 784 }, (_, pixel) => w1[pixel * b1.length + i]);
  paint(byId("unit"), incoming, colourOf(Math.max(...incoming.map(Math.abs))));
  const outgoing = [...w2.subarray(10 * i, 10 * i + 10)], largest = Math.max(...outgoing.map(Math.abs));
  all("#outgoing tr").forEach((row, digit) => {
    const bar = row.querySelector(".vote"), share = 50 * Math.abs(outgoing[digit]) / largest;
    bar.className = `vote ${outgoing[digit] > 0 ? "positive" : "negative"}`;
    Object.assign(bar.style, { width: `${share}%`, marginLeft: `${outgoing[digit] > 0 ? 50 : 50 - share}%` });
    const rounded = Math.round(100 * outgoing[digit]) / 100 || 0;  // 0 for -0
    row.querySelector(".weight").textContent = rounded.toFixed(2).replace("-", "−");
  });
  all("#hidden button").forEach((button, j) => press(button, i === j));
  byId("unit-title").textContent = `Weights of unit ${i + 1}`;
}

// From now on the network of this name answers: "numpy" or "trained"
function answerBy(name) {
  weights = networks[name];
  byId(`by-${name}`).checked = true;
  const units = weights[1].length;
  byId("hidden-title").textContent = `${units} hidden units`;
  if (byId("hidden").children.length !== units) {
    byId("hidden").replaceChildren(...Array.from({ length: units }, (_, i) => {
      const button = make("button", { type: "button" });
      button.addEventListener("click", () => {
        picked = true;
        unit = i;
        showPrediction(drawn);
      });
      return button;
    }));
  }
  picked = false;
  showPrediction(drawn);
}

function clear() {
  ink.fillStyle = "#000";
  ink.fillRect(0, 0, pad.width, pad.height);
  picked = false;
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
let strokeFrame = 0;
function follow() {  // at most once for each picture of the screen
  strokeFrame ||= requestAnimationFrame(() => {
    strokeFrame = 0;
    showPrediction(normalized(pad), false);
  });
}
pad.addEventListener("pointerdown", event => {
  pad.setPointerCapture(event.pointerId);
  last = null;
  stroke(event);
  follow();
});
pad.addEventListener("pointermove", event => {
  if (!last) return;
  (event.getCoalescedEvents?.() ?? [event]).forEach(stroke);
  follow();
});
for (const kind of ["pointerup", "pointercancel"]) {
  pad.addEventListener(kind, () => {
    if (!last) return;
    last = null;
    cancelAnimationFrame(strokeFrame);
    strokeFrame = 0;
    showPrediction(normalized(pad));
  });
}
byId("clear").addEventListener("click", clear);
for (const name in networks) byId(`by-${name}`).addEventListener("change", () => answerBy(name));

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
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => showUnit(unit));
clear();
answerBy("numpy");
