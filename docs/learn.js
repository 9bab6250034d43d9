// Watch it learn. The network learns in a worker, a thread of its own, so that the page stays quick.

// What the worker runs behind mnist_browser.js and mlp_browser.js. The page asks for a state, "training" or "paused",
// the first time with the digits and the settings; the answer, many times a second, is what there is to show.
function work() {
  const shown = { state: "", epoch: 0, loss: 0, speed: 0, accuracies: [], weights: null };
  let training = null, valid, batchSize, losses = [], images = 0, seconds = 0, timer;

  function take({ epoch, loss, accuracy: reached, weights }) {
    Object.assign(shown, { epoch, weights });
    if (!images) shown.accuracies.push(accuracy(...valid, weights));  // the first rate is 0: nothing has changed
    if (reached === undefined) {
      losses.push(loss);
      images += batchSize;
      shown.loss = losses.reduce((sum, value) => sum + value) / losses.length;
      if (!Number.isFinite(loss)) shown.state = "diverged";
    } else {
      shown.accuracies.push(reached);
      losses = [];
    }
  }

  function go() {
    const start = performance.now();
    while (shown.state === "training" && performance.now() - start < 40) {  // then it listens whether to pause
      const { value, done } = training.next();
      if (done) shown.state = "done";
      else take(value);
    }
    seconds += (performance.now() - start) / 1000;
    shown.speed = images / seconds;
    postMessage(shown);
    if (shown.state === "training") timer = setTimeout(go);
  }

  onmessage = async ({ data: { state, digits, settings } }) => {
    shown.state = state;
    if (settings) {
      const data = await mnist.loadData(...digits);
      [valid, batchSize, training] = [data[1], settings.batchSize, train(data, settings)];
    }
    clearTimeout(timer);  // only one go() at a time
    if (training) go();
  };
}

const SETTINGS = { learningRate: byId("rate"), batchSize: byId("batch"), units: byId("units") };
const lessMotion = matchMedia("(prefers-reduced-motion: reduce)");
let worker = null, wantedState = "", latest = null;  // the last answer of the worker
let earlierCurves = [], firstWeights = [], framePending = 0, paintedAt = 0, saidAt = 0;

function startTraining() {
  worker?.terminate();
  if (!("DecompressionStream" in window)) {
    byId("progress").textContent = "This browser is too old to unpack the digits; one of 2023 or later can.";
    return;
  }
  if (latest) earlierCurves = [...earlierCurves, latest.accuracies].slice(-3);
  latest = null;
  firstWeights = initWeights(mnist.generator(0), Number(SETTINGS.units.value))[0];
  const code = [byId("network").textContent, `(${work})();`];
  const address = URL.createObjectURL(new Blob(code, { type: "text/javascript" }));
  worker = new Worker(address);
  worker.onmessage = ({ data }) => {
    URL.revokeObjectURL(address);
    latest = data;
    framePending ||= requestAnimationFrame(showTraining);
  };
  worker.onerror = error => { byId("progress").textContent = `The training broke off: ${error.message}`; };
  askWorker("training", { digits: [byId("images").textContent, byId("labels").textContent],
    settings: Object.fromEntries(Object.entries(SETTINGS).map(([name, select]) => [name, Number(select.value)])) });
}

function askWorker(state, more = {}) {
  worker.postMessage({ state, ...more });
  setState(state);
  if (state === "training") sayProgress("Training.");
}

function setState(state) {
  wantedState = state;
  byId("train").textContent = { training: "Pause", paused: "Go on" }[state] ?? "Train";
  byId("again").disabled = false;
}

function sayProgress(text) {
  saidAt = performance.now();
  byId("progress").textContent = text;
}

function showTraining() {
  framePending = 0;
  if (!latest) return;
  const { state, epoch, loss, speed, accuracies, weights } = latest, whole = accuracies.length - 1;
  const after = `after ${whole} epoch${whole === 1 ? "" : "s"}`;
  const percent = whole < 0 ? "–" : `${(100 * accuracies[whole]).toFixed(1)} %`;
  byId("epoch").textContent = `${Math.min(EPOCHS, Math.floor(epoch) + 1)} of ${EPOCHS}`;
  byId("accuracy").textContent = percent;
  byId("loss").textContent = loss.toFixed(3);
  byId("speed").textContent = Math.round(speed || 0).toLocaleString("en");
  drawCurve(accuracies);
  const painting = state !== "training" || !lessMotion.matches || performance.now() - paintedAt > 2000;
  if (weights && painting) paintUnits(weights);
  if (state === "training" || (state === "paused" && wantedState !== "paused")) {  // gone on before this one arrived
    if (whole > 0 && performance.now() - saidAt > 5000) {  // to those who do not see the figures; not every moment
      saidAt = performance.now();
      byId("aloud").textContent = `Epoch ${whole} of ${EPOCHS}: ${percent}.`;
    }
    return;
  }
  setState(state);
  if (state === "diverged") return sayProgress("The loss is no longer a number; start again with a smaller rate.");
  if (!weights) return sayProgress("Paused.");
  if (state === "done" && loss > Math.log(10)) {  // that of ten equal probabilities
    sayProgress("Done, and no better than guessing; start again with a smaller rate.");
  } else {
    sayProgress(`${state === "done" ? "Done" : "Paused"}: ${after} ${percent} of the digits kept for validation are `
      + "right. Draw a digit below: this network answers now.");
  }
  networks.trained = weights;
  byId("by-trained").disabled = false;
  byId("trained").textContent = `${percent} on validation ${after}`;
  answerBy("trained");
}

function svgElement(tag, attributes, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  Object.entries(attributes).forEach(([name, value]) => element.setAttribute(name, value));
  element.textContent = text;
  return element;
}

// A curve from 0 to 100 %, and not from 90, because what happens in the first epochs is what learning looks like
function drawCurve(accuracies) {
  const x = epoch => 34 + 376 * epoch / EPOCHS, y = accuracy => 236 - 220 * accuracy;
  const line = (values, kind) => svgElement("polyline", { class: kind, points: values.map((value, i) =>
    `${x(i).toFixed(1)},${y(value).toFixed(1)}`).join(" ") });
  const parts = [0, 0.2, 0.4, 0.6, 0.8, 1].flatMap(value => [
    svgElement("line", { x1: x(0), x2: x(EPOCHS), y1: y(value), y2: y(value) }),
    svgElement("text", { x: x(0) - 6, y: y(value) + 5, "text-anchor": "end" }, `${100 * value}`)]);
  for (let epoch = 0; epoch <= EPOCHS; epoch += 5) {
    parts.push(svgElement("text", { x: x(epoch), y: 256, "text-anchor": "middle" }, `${epoch}`));
  }
  parts.push(...earlierCurves.map(values => line(values, "earlier")), line(accuracies, "now"));
  if (accuracies.length) {
    parts.push(svgElement("circle", { r: 3.5, cx: x(accuracies.length - 1), cy: y(accuracies.at(-1)) }));
    byId("curve").setAttribute("aria-label", "Validation accuracy against epochs, in per cent: "
      + accuracies.map(value => (100 * value).toFixed(1)).join(", "));
  }
  byId("curve").replaceChildren(...parts);
  byId("before").hidden = !earlierCurves.length;
}

function paintUnits([w1]) {
  paintedAt = performance.now();
  const units = w1.length / 784, canvas = byId("learned"), colour = colourOf(127), w = byId("less").checked
    ? w1.map((value, i) => value - firstWeights[i]) : w1;
  const shades = Array.from({ length: 255 }, (_, shade) => colour(shade - 127));  // for speed: there are 78,400 pixels
  canvas.height = 31 * units / 10 + 3;
  const context = canvas.getContext("2d"), image = context.createImageData(canvas.width, canvas.height);
  for (let unit = 0; unit < units; unit++) {
    let largest = 0;
    for (let i = unit; i < w.length; i += units) largest = Math.max(largest, Math.abs(w[i]));
    for (let pixel = 0; pixel < 784; pixel++) {
      const row = 3 + 31 * Math.floor(unit / 10) + Math.floor(pixel / 28), column = 3 + 31 * (unit % 10) + pixel % 28;
      const shade = shades[127 + Math.round(127 * w[pixel * units + unit] / largest)] ?? shades[127];
      for (let c = 0; c < 3; c++) image.data[4 * (row * canvas.width + column) + c] = shade[c];
      image.data[4 * (row * canvas.width + column) + 3] = 255;
    }
  }
  context.putImageData(image, 0, 0);
}

function showUnits() {  // of the training, or with which one would begin
  if (!worker) firstWeights = initWeights(mnist.generator(0), Number(SETTINGS.units.value))[0];
  paintUnits(latest?.weights ?? [firstWeights]);
}

byId("train").addEventListener("click", () => {
  if (wantedState === "training") askWorker("paused");
  else if (wantedState === "paused") askWorker("training");
  else startTraining();
});
byId("again").addEventListener("click", startTraining);
for (const element of [SETTINGS.units, byId("less"), matchMedia("(prefers-color-scheme: dark)")]) {
  element.addEventListener("change", showUnits);
}
drawCurve([]);
setTimeout(showUnits);
