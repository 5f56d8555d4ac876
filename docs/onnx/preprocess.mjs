// From pixels to network input, as `aberra export` describes it beside a model: the steps of reference.py in JavaScript.

const BRIGHT_PERCENTILE = 99.5;
const [MIN_LINE_SHARE, MIN_LINE_PIXELS, MIN_RUN_SHARE, MIN_AREA_SHARE, MIN_SIDE_PX] = [0.01, 2, 0.01, 0.01, 8];

/** The network input, size x size x channels, of an image {width, height, data: red, green, blue, alpha of each pixel, 0 to 255}. */
export function preprocess(image, settings) {
  if (settings.tiles !== "none") throw new Error(`expected one network input for each image, found tiles ${settings.tiles}`);
  const count = image.width * image.height;
  if (settings.window) throw new Error("expected a picture's own values, found a window over values with a unit, which no picture has");
  if (settings.channels?.length) throw new Error(`expected images of one file, found a model of images of the channels ${settings.channels.join(", ")}`);
  if (settings.invalid?.length) throw new Error("expected a picture of measured values alone, found settings for values that were not measured");
  const whole = { top: 0, left: 0, height: image.height, width: image.width };
  const region = settings.region ? boxOf(settings.region, whole) : whole;
  const areas = (settings.ignore ?? []).map((area) => boxOf(area, whole));
  const colour = new Float32Array(3 * count);
  for (let at = 0; at < count; at++) {
    for (let channel = 0; channel < 3; channel++) colour[3 * at + channel] = image.data[4 * at + channel] / 255;
  }
  fill(colour, 3, image, region, areas);
  const grey = new Float32Array(count);
  let isGrey = true;
  for (let at = 0; at < count; at++) {
    const [red, green, blue] = colour.subarray(3 * at, 3 * at + 3);
    const same = red === green && green === blue;
    isGrey &&= same;
    grey[at] = same ? red : Math.fround(0.299) * red + Math.fround(0.587) * green + Math.fround(0.114) * blue;
  }
  const inside = { top: 0, left: 0, height: region.height, width: region.width };
  const lit = cut(grey, image.width, 1, 0, region).values;
  const object = settings.foreground_crop ? foreground(lit, inside, settings.foreground_crop) : inside;
  const box = { ...object, top: region.top + object.top, left: region.left + object.left };
  const inColour = settings.color === "rgb" && !isGrey;
  const planes = inColour ? [0, 1, 2].map((channel) => cut(colour, image.width, 3, channel, box)) : [cut(grey, image.width, 1, 0, box)];

  const { low_percentile, high_percentile } = settings.intensity;
  const [low, high] = percentiles(planes, [low_percentile, high_percentile]);
  const size = settings.size_px;
  const resized = planes.map((plane) => {
    const small = settings.square_pad ? resizedSquare(plane, size, low) : resize(plane, size, size);
    return small.values.map((value) => (high <= low ? 0 : Math.min(Math.max((value - low) / (high - low), 0), 1)));
  });
  const channels = settings.color === "rgb" ? 3 : 1;
  const input = new Float32Array(size * size * channels);
  for (let at = 0; at < input.length; at++) {
    input[at] = resized[inColour ? at % channels : 0][Math.floor(at / channels)];
  }
  return input;
}

/** The input from a formula for which the description holds what the detector gives. */
export function pattern(number, height, width, channels) {
  const input = new Float32Array(height * width * channels);
  for (let at = 0; at < input.length; at++) {
    const [channel, place] = [at % channels, Math.floor(at / channels)];
    const [x, y] = [place % width, Math.floor(place / width)];
    input[at] = (((3 + number) * x + (5 + 2 * number) * y + 11 * channel + Math.floor((x * y) / 8)) % 64) / 63;
  }
  return input;
}

/** A part of an image, given in shares of its sides, in pixels. */
function boxOf(part, { height, width }) {
  const span = (start, length, side) => {
    const edge = (share) => Math.min(Math.floor(share * side + 0.5), side);
    return [edge(start), edge(start + length) - edge(start)];
  };
  const [[top, rows], [left, columns]] = [span(part.top, part.height, height), span(part.left, part.width, width)];
  return { top, left, height: rows, width: columns };
}

/** Puts what lies around ignored areas in their place: from their edge inwards, the mean of those of a pixel's eight neighbours in the
 *  region that are known by then. */
function fill(values, channels, { width }, region, areas) {
  const within = (at, box) => {
    const [y, x] = [Math.floor(at / width) - box.top, (at % width) - box.left];
    return y >= 0 && y < box.height && x >= 0 && x < box.width;
  };
  const known = new Uint8Array(values.length / channels);
  let unknown = [];
  for (let at = 0; at < known.length; at++) {
    if (!within(at, region)) continue;
    known[at] = areas.some((area) => within(at, area)) ? 0 : 1;
    if (!known[at]) unknown.push(at);
  }
  const columns = (at) => [-1, 0, 1].filter((step) => (at % width) + step >= 0 && (at % width) + step < width);
  while (unknown.length > 0) {
    const edge = [];
    for (const at of unknown) {
      const around = [-width, 0, width].flatMap((row) => columns(at).map((column) => at + row + column)).filter((place) => known[place]);
      if (around.length > 0) edge.push(at);
      for (let channel = 0; channel < channels && around.length > 0; channel++) {
        values[at * channels + channel] = around.reduce((sum, place) => sum + values[place * channels + channel], 0) / around.length;
      }
    }
    if (edge.length === 0) throw new Error("expected areas to ignore that leave a part of the image, found none left");
    for (const at of edge) known[at] = 1;
    unknown = unknown.filter((at) => !known[at]);
  }
}

function cut(values, imageWidth, channels, channel, { top, left, height, width }) {
  const part = new Float32Array(height * width);
  for (let at = 0; at < part.length; at++) {
    const [y, x] = [top + Math.floor(at / width), left + (at % width)];
    part[at] = values[(y * imageWidth + x) * channels + channel];
  }
  return { values: part, height, width };
}

/** Values at percentiles of all planes together, linearly between order statistics. */
function percentiles(planes, wanted) {
  const sorted = new Float32Array(planes.reduce((sum, plane) => sum + plane.values.length, 0));
  let at = 0;
  for (const plane of planes) {
    sorted.set(plane.values, at);
    at += plane.values.length;
  }
  sorted.sort();
  return wanted.map((percentile) => {
    const position = (percentile / 100) * (sorted.length - 1);
    const rank = Math.floor(position);
    const next = sorted[Math.min(rank + 1, sorted.length - 1)];
    return Math.fround(sorted[rank] + (position - rank) * (next - sorted[rank]));
  });
}

/** The box of the object; the whole image where there is nearly none. */
function foreground(grey, whole, { threshold, margin }) {
  const { height, width } = whole;
  const [darkest, bright] = percentiles([{ values: grey }], [0, BRIGHT_PERCENTILE]);
  const black = Math.min(darkest, 0);
  const least = Math.fround(black + threshold * (bright - black));
  const [rows, columns] = [new Array(height).fill(0), new Array(width).fill(0)];
  for (let at = 0; at < grey.length; at++) {
    if (grey[at] > least) {
      rows[Math.floor(at / width)]++;
      columns[at % width]++;
    }
  }
  const [vertical, horizontal] = [extent(rows, width), extent(columns, height)];
  if (!vertical || !horizontal) return whole;
  const share = ((vertical.length / height) * horizontal.length) / width;
  if (Math.min(vertical.length, horizontal.length) < MIN_SIDE_PX || share < MIN_AREA_SHARE) return whole;
  const [down, across] = [widened(vertical, height, margin), widened(horizontal, width, margin)];
  return { top: down.first, left: across.first, height: down.length, width: across.length };
}

/** First line and number of lines of the object, by the foreground pixels of each line. */
function extent(counts, length) {
  const enough = Math.max(Math.ceil(length * MIN_LINE_SHARE), MIN_LINE_PIXELS);
  const runs = [];
  counts.forEach((count, line) => {
    if (count < enough) return;
    const run = runs.at(-1);
    if (run && run.last + 1 === line) {
      run.last = line;
      run.pixels += count;
    } else {
      runs.push({ first: line, last: line, pixels: count });
    }
  });
  const total = runs.reduce((sum, run) => sum + run.pixels, 0);
  const kept = runs.filter((run) => run.pixels >= MIN_RUN_SHARE * total);
  return kept.length ? { first: kept[0].first, length: kept.at(-1).last - kept[0].first + 1 } : null;
}

function widened({ first, length }, limit, margin) {
  const extra = Math.floor(length * Math.fround(margin) + 0.5);
  const start = Math.max(first - extra, 0);
  return { first: start, length: Math.min(first + length + extra, limit) - start };
}

/** Padded evenly to a square, then resized; the side without padding first. */
function resizedSquare(plane, size, fill) {
  const { height, width } = plane;
  const side = Math.max(height, width);
  if (height === width) return resize(plane, size, size);
  const [rows, columns] = height < side ? [side, size] : [size, side];
  const strip = height < side ? resize(plane, height, size) : resize(plane, size, width);
  const padded = { values: new Float32Array(rows * columns).fill(fill), height: rows, width: columns };
  const [top, left] = [Math.floor((rows - strip.height) / 2), Math.floor((columns - strip.width) / 2)];
  for (let y = 0; y < strip.height; y++) {
    padded.values.set(strip.values.subarray(y * strip.width, (y + 1) * strip.width), (top + y) * columns + left);
  }
  return resize(padded, size, size);
}

/** A triangle filter, widened where it reduces: rows, then columns. */
function resize(plane, height, width) {
  return transposed(resizedWidth(transposed(resizedWidth(plane, width)), height));
}

function resizedWidth({ values, height, width }, to) {
  if (to === width) return { values, height, width };
  const scale = width / to;
  const support = Math.max(scale, 1);
  const result = new Float32Array(height * to);
  for (let x = 0; x < to; x++) {
    const centre = (x + 0.5) * scale;
    const first = Math.max(Math.floor(centre - support + 0.5), 0);
    const end = Math.min(Math.floor(centre + support + 0.5), width);
    const weights = [];
    for (let at = first; at < end; at++) weights.push(Math.max(0, 1 - Math.abs((at - centre + 0.5) / support)));
    const sum = weights.reduce((a, b) => a + b, 0);
    for (let y = 0; y < height; y++) {
      let value = 0;
      weights.forEach((weight, at) => (value += (weight / sum) * values[y * width + first + at]));
      result[y * to + x] = value;
    }
  }
  return { values: result, height, width: to };
}

function transposed({ values, height, width }) {
  const result = new Float32Array(values.length);
  for (let at = 0; at < values.length; at++) result[(at % width) * height + Math.floor(at / width)] = values[at];
  return { values: result, height: width, width: height };
}
