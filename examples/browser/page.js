// Classifies a photo with a .onnx file written by `mobilenet export`, using onnxruntime-web.
//
// The file is self-contained: its metadata holds the labels and the preprocessing, so there is no second file to keep in
// sync. onnxruntime-web does not expose metadata, so it is parsed from the file's bytes.

import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs";

const TOP = 5;
const MOST_PIXELS = 100e6; // as in Python: guards against images that exhaust memory

const at = (id) => document.getElementById(id);

let model = null; // { session, batch, labels, preprocessing }
let photo = null; // the last File, to classify again when the model changes

ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency || 1) : 1;

// --- The file's metadata ---------------------------------------------------------------------------------------------

// ONNX files are protobufs: a sequence of fields, each with a number and a length. Field 14 of a model is a metadata
// entry, in which field 1 is the key and field 2 the value; the network itself (field 7) is skipped.
export function readMetadata(bytes) {
  const text = new TextDecoder("utf-8", { fatal: true });
  const metadata = new Map();
  for (const [field, content] of fields(bytes)) {
    if (field !== 14) continue;
    const entry = new Map(fields(content));
    metadata.set(text.decode(entry.get(1)), text.decode(entry.get(2) ?? new Uint8Array()));
  }
  return metadata;
}

// [field number, bytes] for each length-delimited field; numeric fields are skipped.
function* fields(bytes) {
  let place = 0;
  const varint = () => {
    let value = 0;
    for (let shift = 1; shift < 2 ** 56; shift *= 128) {
      const byte = bytes[place++];
      if (byte === undefined) break;
      value += (byte & 127) * shift;
      if (byte < 128) return value;
    }
    throw new Error("this is not an ONNX file, or it is damaged");
  };
  while (place < bytes.length) {
    const tag = varint();
    const kind = tag % 8;
    if (kind === 0) varint();
    else if (kind === 1) place += 8;
    else if (kind === 5) place += 4;
    else if (kind === 2) {
      const length = varint();
      if (place + length > bytes.length) throw new Error("this ONNX file is truncated; copy it again");
      yield [Math.floor(tag / 8), bytes.subarray(place, place + length)];
      place += length;
    } else throw new Error("this is not an ONNX file, or it is damaged");
  }
}

async function openModel(bytes, name) {
  const metadata = readMetadata(bytes);
  if (!metadata.has("mobilenet")) throw new Error(`${name} was not written by mobilenet export`);
  const card = JSON.parse(metadata.get("mobilenet"));
  const session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
  const first = session.inputMetadata[0].shape[0];
  model = { session, batch: typeof first === "number" ? first : 1, labels: card.labels, preprocessing: card.preprocessing };
  const side = card.preprocessing.resolution;
  const precision = /\b(float32|int8)\b/.exec(metadata.get("description") ?? "")?.[1] ?? "";
  at("model").replaceChildren(
    fact(name),
    fact(`${side} × ${side}`, "pixels"),
    fact(card.width_multiplier, "width"),
    fact(card.labels.length.toLocaleString("en"), "classes"),
    fact(precision),
    fact((bytes.length / 1e6).toFixed(1), "MB"),
  );
  document.body.dataset.state = "ready";
}

function fact(value, unit = "") {
  const [element, strong] = ["span", "b"].map((kind) => document.createElement(kind));
  strong.textContent = value;
  element.append(strong, ` ${unit}`);
  return element;
}

// --- A photo's pixels ------------------------------------------------------------------------------------------------

// As `mobilenet.images` prepares it: upright, colour profiles ignored, transparency on white.
async function decode(file) {
  const bitmap = await createImageBitmap(file, { imageOrientation: "from-image", colorSpaceConversion: "none" });
  const { width, height } = bitmap;
  if (width * height > MOST_PIXELS) throw new Error(`${width} × ${height} pixels is too large; choose a smaller photo`);
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, width, height);
}

// The whole photo stretched to the square, or the centred square of `crop_fraction` of its shorter side, as the file
// specifies -> (R, R, 3) bytes.
//
// How a canvas itself shrinks a photo (`imageSmoothingQuality`) depends on the browser, so resampling is done here:
// with the same triangle filter as Pillow's, scaled to the reduction, which gives the same bytes. A large JPEG differs
// slightly, since Python decodes it at 1/2, 1/4 or 1/8 of its size, whereas here its pixels are averaged in squares of
// 2, 4 or 8: by 0.3 of 255 on average, over photos of clothes 400 pixels wide.
export function toSquare(whole, side, cropFraction, isJpeg) {
  const image = isJpeg ? reduced(whole, Math.ceil(side / (cropFraction ?? 1))) : whole;
  const { width, height, data } = image;
  const cut = cropFraction === null ? null : cropFraction * Math.min(width, height);
  const [boxWidth, boxHeight] = cut === null ? [width, height] : [cut, cut];
  const across = taps(width, (width - boxWidth) / 2, boxWidth, side);
  const down = taps(height, (height - boxHeight) / 2, boxHeight, side);
  const narrow = new Uint8ClampedArray(height * side * 3);
  for (let y = 0; y < height; y++) {
    average(across, (tap) => (y * width + tap) * 4, data, narrow, (x) => (y * side + x) * 3);
  }
  const square = new Uint8ClampedArray(side * side * 3);
  for (let x = 0; x < side; x++) {
    average(down, (tap) => (tap * side + x) * 3, narrow, square, (y) => (y * side + x) * 3);
  }
  return new Uint8Array(square.buffer);
}

// The means of squares of 8, 4 or 2 pixels, the largest size that leaves `atLeast` whole squares along both sides.
function reduced(image, atLeast) {
  const { width, height, data } = image;
  const step = [8, 4, 2].find((size) => Math.min(Math.trunc(width / size), Math.trunc(height / size)) >= atLeast);
  if (step === undefined) return image;
  const [narrow, low] = [Math.ceil(width / step), Math.ceil(height / step)];
  const means = new Uint8ClampedArray(narrow * low * 4);
  for (let y = 0; y < low; y++) {
    for (let x = 0; x < narrow; x++) {
      let red = 0, green = 0, blue = 0;
      for (let row = y * step; row < (y + 1) * step; row++) {
        for (let column = x * step; column < (x + 1) * step; column++) {
          // The last pixel is repeated beyond the edge.
          const place = (Math.min(row, height - 1) * width + Math.min(column, width - 1)) * 4;
          red += data[place];
          green += data[place + 1];
          blue += data[place + 2];
        }
      }
      means.set([red / step ** 2, green / step ** 2, blue / step ** 2, 255], (y * narrow + x) * 4);
    }
  }
  return { width: narrow, height: low, data: means };
}

// Each output pixel as a weighted mean of the input pixels `first`, `first` + 1, …
function average(filters, from, source, target, to) {
  for (let index = 0; index < filters.length; index++) {
    const { first, weights } = filters[index];
    let red = 0, green = 0, blue = 0;
    for (let tap = 0; tap < weights.length; tap++) {
      const place = from(first + tap);
      red += weights[tap] * source[place];
      green += weights[tap] * source[place + 1];
      blue += weights[tap] * source[place + 2];
    }
    const place = to(index);
    target[place] = red;
    target[place + 1] = green;
    target[place + 2] = blue;
  }
}

// Triangle filters from the interval [start, start + extent) of `count` input pixels to `side` output pixels.
function taps(count, start, extent, side) {
  const scale = extent / side;
  const reach = Math.max(scale, 1);
  return Array.from({ length: side }, (_, index) => {
    const centre = start + (index + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - reach + 0.5));
    const end = Math.min(count, Math.trunc(centre + reach + 0.5));
    const weights = Array.from({ length: end - first }, (_, tap) =>
      Math.max(0, 1 - Math.abs((first + tap - centre + 0.5) / reach)),
    );
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return { first, weights: weights.map((weight) => weight / sum) };
  });
}

// --- Answers ---------------------------------------------------------------------------------------------------------

async function classify(file) {
  const { resolution, crop_fraction } = model.preprocessing;
  const [first, second] = new Uint8Array(await file.slice(0, 2).arrayBuffer());
  const pixels = toSquare(await decode(file), resolution, crop_fraction, first === 0xff && second === 0xd8);
  const images = new Uint8Array(model.batch * pixels.length);
  images.set(pixels);
  const start = performance.now();
  const input = new ort.Tensor("uint8", images, [model.batch, resolution, resolution, 3]);
  const { probabilities } = await model.session.run({ images: input }, ["probabilities"]);
  const elapsed = performance.now() - start;
  const answers = model.labels.map((label, index) => ({ label, probability: probabilities.data[index] }));
  answers.sort((a, b) => b.probability - a.probability);
  show(answers.slice(0, TOP), pixels, elapsed);
}

function show(answers, pixels, elapsed) {
  at("answers").replaceChildren(...answers.map(row));
  at("empty").hidden = true;
  drawSquare(pixels, model.preprocessing.resolution);
  at("timing").textContent = `The input of the network. Inference took ${elapsed.toFixed(elapsed < 10 ? 1 : 0)}\u00a0ms.`;
  at("seen").hidden = false;
}

function row({ label, probability }) {
  const [item, name, share, track, fill] = ["li", "span", "span", "div", "div"].map((kind) => document.createElement(kind));
  Object.assign(item.dataset, { label, probability });
  [name.className, share.className, track.className, fill.className] = ["name", "share", "track", "fill"];
  name.textContent = label;
  share.textContent = `${(100 * probability).toFixed(1)} %`;
  fill.style.width = `${100 * probability}%`;
  track.append(fill);
  item.append(name, share, track);
  return item;
}

function drawSquare(pixels, side) {
  const canvas = at("square");
  canvas.width = canvas.height = side;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const image = context.createImageData(side, side);
  for (let pixel = 0; pixel < side * side; pixel++) {
    image.data.set([...pixels.subarray(pixel * 3, pixel * 3 + 3), 255], pixel * 4);
  }
  context.putImageData(image, 0, 0);
}

// --- The page --------------------------------------------------------------------------------------------------------

async function take(file) {
  at("message").textContent = "";
  document.body.dataset.state = "working";
  try {
    if (file.name.toLowerCase().endsWith(".onnx")) await openModel(new Uint8Array(await file.arrayBuffer()), file.name);
    else await takePhoto(file);
    if (model && photo) await classify(photo);
    document.body.dataset.state = model && photo ? "answered" : "ready";
  } catch (error) {
    fail(error);
  }
}

async function takePhoto(file) {
  const image = at("preview");
  URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(file);
  await image.decode().catch(() => {
    at("drop").classList.remove("filled");
    throw new Error(`this browser cannot read ${file.name} as a photo`);
  });
  at("drop").classList.add("filled");
  photo = file;
  if (!model) throw new Error("no model is loaded; choose or drop an exported .onnx file");
}

function fail(error) {
  at("message").textContent = String(error.message ?? error).split("\n")[0];
  document.body.dataset.state = "failed";
}

for (const id of ["photo", "file"]) {
  at(id).addEventListener("change", ({ target }) => target.files[0] && take(target.files[0]));
}
for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    document.body.classList.toggle("over", kind === "dragenter" || kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
  });
}

try {
  const answer = await fetch("model.onnx");
  if (!answer.ok) throw new Error("there is no model.onnx beside this page; choose or drop an exported .onnx file");
  await openModel(new Uint8Array(await answer.arrayBuffer()), "model.onnx");
} catch (error) {
  at("model").textContent = "No model.";
  fail(error);
}
