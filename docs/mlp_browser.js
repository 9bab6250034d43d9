// A 784-100-10 network in JavaScript, in your browser: the forward pass alone, on the weights of mlp_numpy.py.


// Weights
function splitWeights(numbers) {  // all 79,510 in a row
  let end = 0;
  return [784 * 100, 100, 100 * 10, 10].map(size => numbers.subarray(end, end += size));
}


// Model
function affine(x, w, b) {  // w holds, row after row, the weights of each input
  return b.map((bias, j) => x.reduce((sum, value, i) => sum + value * w[i * b.length + j], bias));
}

function forward(x, weights) {
  const [w1, b1, w2, b2] = weights;
  const hidden = affine(x, w1, b1).map(value => Math.max(value, 0));  // (784) -> (100)
  return [affine(hidden, w2, b2), hidden];                            // logits: (100) -> (10)
}

function softmax(logits) {
  const exp = logits.map(logit => Math.exp(logit - Math.max(...logits)));  // the shift keeps exp from overflowing
  return exp.map(value => value / exp.reduce((sum, other) => sum + other));
}


// Step
// None: a page that is read does not learn.


// Training
// Done beforehand, by mlp_numpy.py.
