// The digits for mlp_browser.js, as mnist.py has them for the scripts: unpacked, split, one shuffled epoch at a time.
function fromBase64(text) {
  return Uint8Array.from(atob(text), character => character.charCodeAt(0));
}

const mnist = {
  // The bytes behind the header of an IDX file that is gzipped and in base64
  async unpack(text, header) {
    const unpacked = new Blob([fromBase64(text)]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(unpacked).arrayBuffer(), header);
  },

  // [xTrain, yTrain] and [xValid, yValid] of a file of images and one of labels: the last sixth is for validation
  async loadData(images, labels) {
    const x = new Float32Array(await mnist.unpack(images, 16)).map(value => value / 255);
    const y = await mnist.unpack(labels, 8), split = y.length - Math.floor(y.length / 6);
    return [[x.subarray(0, 784 * split), y.subarray(0, split)], [x.subarray(784 * split), y.subarray(split)]];
  },

  // All of (x, y) in a new order, each image moved by up to `shift` pixels each way; what moves in is black
  epoch(x, y, rng, shift = 1) {
    const order = [...y.keys()], moved = new Float32Array(x.length);
    const offset = () => mnist.below(2 * shift + 1, rng) - shift;
    for (let last = order.length - 1; last > 0; last--) {
      const other = mnist.below(last + 1, rng);
      [order[last], order[other]] = [order[other], order[last]];
    }
    order.forEach((from, to) => {
      const down = offset(), right = offset(), left = Math.max(right, 0), wide = 28 - Math.abs(right);
      for (let row = Math.max(down, 0); row < 28 + Math.min(down, 0); row++) {
        const start = 784 * from + 28 * (row - down) + left - right;
        moved.set(x.subarray(start, start + wide), 784 * to + 28 * row + left);
      }
    });
    return [moved, Uint8Array.from(order, from => y[from])];
  },

  below(limit, rng) {
    return Math.floor(limit * rng());
  },

  // A function that returns one number in [0, 1) after the other, the same ones for the same seed: mulberry32
  generator(seed) {
    return () => {
      seed = seed + 0x6D2B79F5 | 0;
      let bits = Math.imul(seed ^ seed >>> 15, seed | 1);
      bits ^= bits + Math.imul(bits ^ bits >>> 7, bits | 61);
      return ((bits ^ bits >>> 14) >>> 0) / 2 ** 32;
    };
  },
};
