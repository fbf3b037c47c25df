// Runs a LiteRT file with LiteRT.js on the CPU, one thread.

import {Tensor, loadAndCompile, loadLiteRt} from '@litertjs/core';

const ARRAYS = {float32: Float32Array, int32: Int32Array, uint8: Uint8Array};

/** Loads the runtime once; `wasm` is the URL of the package's folder wasm/. */
export const loadRuntime = (wasm, options) => loadLiteRt(wasm, options);

/** Opens a file given as a URL or as a Uint8Array. */
export const openFile = (source) =>
    loadAndCompile(source, {accelerator: 'wasm'});

/** Decodes an array of samples: {dtype, shape, data in base64}. */
export function decode({dtype, shape, data}) {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  return {shape, values: new ARRAYS[dtype](bytes.buffer)};
}

/** One sample of decoded arrays, with a batch axis of 1. */
export function takeSample(arrays, row) {
  const sample = {};
  for (const [name, {shape, values}] of Object.entries(arrays)) {
    const size = values.length / shape[0];
    sample[name] = {
      shape: [1, ...shape.slice(1)],
      values: values.subarray(row * size, (row + 1) * size),
    };
  }
  return sample;
}

/** Runs a file on one sample; returns an array per output, by name. */
export async function runSample(model, sample) {
  const feeds = {};
  for (const [name, {shape, values}] of Object.entries(sample)) {
    feeds[name] = new Tensor(values, shape);
  }
  const results = await model.run(feeds);
  const outputs = {};
  for (const [name, tensor] of Object.entries(results)) {
    outputs[name] = (await tensor.data()).slice();
    tensor.delete();
  }
  // WebAssembly has no garbage collection.
  Object.values(feeds).forEach((tensor) => tensor.delete());
  return outputs;
}

/** Largest difference of two arrays; Infinity where they cannot be compared. */
export function measureGap(found, expected) {
  if (found?.length !== expected.length) return Infinity;
  return expected.reduce((most, value, i) => {
    const gap = Math.abs(value - found[i]);
    return Number.isNaN(gap) ? Infinity : Math.max(most, gap);
  }, 0);
}

/**
 * Times calls in blocks, because the clock of a page ticks every 0.1 ms.
 * Returns milliseconds per call, with copies on both sides: the median and the
 * fastest block, which other programs of the machine disturb least.
 */
export async function timeCalls(model, sample, blocks = 30) {
  const measure = async (calls) => {
    const start = performance.now();
    for (let i = 0; i < calls; i++) await runSample(model, sample);
    return performance.now() - start;
  };
  await measure(5);
  const calls = Math.max(1, Math.ceil(200 / Math.max(await measure(20), 1)));
  const times = [];
  for (let i = 0; i < blocks; i++) times.push((await measure(calls)) / calls);
  times.sort((a, b) => a - b);
  return {median: times[blocks >> 1], fastest: times[0], calls, blocks};
}
