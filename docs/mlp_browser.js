// A 784-100-10 network in JavaScript, in your browser: mlp_numpy.py again, each matrix product a plain loop.
const EPOCHS = 20, BATCH_SIZE = 100, LEARNING_RATE = 1;


// Weights
function normal(rng) {  // two uniform numbers make a normal one: Box and Muller
  return Math.sqrt(-2 * Math.log(1 - rng())) * Math.cos(2 * Math.PI * rng());
}

function heNormal(rng, rows, columns) {
  return new Float32Array(rows * columns).map(() => Math.sqrt(2 / rows) * normal(rng));
}

function initWeights(rng, units = 100) {
  return [heNormal(rng, 784, units), new Float32Array(units),
          heNormal(rng, units, 10), new Float32Array(10)];
}


// Model
function affine(x, w, b) {  // x @ w + b, taking the numbers as they lie in memory, row after row
  const size = b.length, inputs = w.length / size, batch = x.length / inputs;
  const out = new Float32Array(batch * size), row = new Float64Array(size);
  for (let n = 0; n < batch; n++) {
    row.set(b);
    for (let i = 0; i < inputs; i++) {
      const value = x[n * inputs + i];
      if (value === 0) continue;  // as four of five pixels are
      for (let j = 0; j < size; j++) row[j] += value * w[i * size + j];
    }
    out.set(row, n * size);
  }
  return out;
}

function forward(x, weights) {
  const [w1, b1, w2, b2] = weights;
  const hidden = affine(x, w1, b1).map(value => Math.max(value, 0));  // (batch, 784) -> (batch, 100)
  return [affine(hidden, w2, b2), hidden];                            // logits: (batch, 100) -> (batch, 10)
}

function softmax(logits) {
  const probabilities = new Float32Array(logits.length);
  for (let n = 0; n < logits.length; n += 10) {
    const row = logits.subarray(n, n + 10), largest = Math.max(...row);
    const exp = row.map(logit => Math.exp(logit - largest));  // the shift keeps exp from overflowing
    const sum = exp.reduce((total, value) => total + value);
    probabilities.set(exp.map(value => value / sum), n);
  }
  return probabilities;
}

function accuracy(x, y, weights) {
  const [logits] = forward(x, weights);
  return y.filter((label, n) => {
    const row = logits.subarray(10 * n, 10 * n + 10);
    return row.indexOf(Math.max(...row)) === label;
  }).length / y.length;
}


// Step
function product(a, b, columns) {  // a @ b
  return affine(a, b, new Float32Array(columns));
}

function transpose(a, columns) {  // a.T
  const rows = a.length / columns, out = new Float32Array(a.length);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) out[j * rows + i] = a[i * columns + j];
  }
  return out;
}

function gradients(x, y, weights) {  // d is for derivative: of the loss, the mean cross-entropy, by what is named
  const [w1, b1, w2, b2] = weights, units = b1.length, batch = y.length;
  const [logits, hidden] = forward(x, weights), probabilities = softmax(logits);
  const oneHot = new Float32Array(10 * batch), ones = new Float32Array(batch).fill(1);
  y.forEach((label, n) => { oneHot[10 * n + label] = 1; });
  const loss = y.reduce((sum, label, n) => sum - Math.log(probabilities[10 * n + label]), 0) / batch;
  const dLogits = probabilities.map((value, k) => (value - oneHot[k]) / batch);
  const dHidden = product(dLogits, transpose(w2, 10), units).map((d, k) => hidden[k] > 0 ? d : 0);
  const dW1 = product(transpose(x, 784), dHidden, units), dB1 = product(ones, dHidden, units);
  const dW2 = product(transpose(hidden, units), dLogits, 10), dB2 = product(ones, dLogits, 10);
  return [[dW1, dB1, dW2, dB2], loss];  // ones @ d is the sum over the batch
}

function step(x, y, weights, rate) {
  const [derivatives, loss] = gradients(x, y, weights);
  weights.forEach((w, k) => {
    for (let i = 0; i < w.length; i++) w[i] -= rate * derivatives[k][i];
  });
  return loss;
}


// Training
// A generator: at every yield it waits until it is asked to go on, so that the page can draw, pause, or stop asking
function* train(data, {
  units = 100, batchSize = BATCH_SIZE, learningRate = LEARNING_RATE, epochs = EPOCHS, seed = 0,
} = {}) {
  const rng = mnist.generator(seed);
  const [[xTrain, yTrain], valid] = data;
  const weights = initWeights(rng, units), steps = Math.floor(yTrain.length / batchSize);
  for (let epoch = 1; epoch <= epochs; epoch++) {
    const [x, y] = mnist.epoch(xTrain, yTrain, rng);
    for (let i = 0; i < steps; i++) {
      const done = (epoch - 1 + i / steps) / epochs;
      const rate = learningRate * Math.min(done / 0.2, (1 - done) / 0.8);
      const [from, to] = [i * batchSize, (i + 1) * batchSize];
      const loss = step(x.subarray(784 * from, 784 * to), y.subarray(from, to), weights, rate);
      yield { epoch: epoch - 1 + (i + 1) / steps, loss, weights };
    }
    yield { epoch, accuracy: accuracy(...valid, weights), weights };
  }
}
