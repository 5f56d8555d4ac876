// Draws the pictures of the example reports: a part with a bore and rings, and what is wrong with it.
import { draws } from "./make-example.mjs";
import { png } from "./png.mjs";

/** The part number `seed`: input, a smoothed copy that stands for the reconstruction, and the mask of what is wrong. */
export function drawPhantom(side, seed, kind, aspect = 1, blur = 2) {
  const { uniform, normal } = draws(seed * 2654435761 + 17);
  const values = new Float64Array(side * side);
  const mask = new Uint8Array(side * side);
  const turn = uniform() * Math.PI;
  const scale = 0.92 + 0.12 * uniform();
  const [cx, cy] = [0.5 + 0.03 * normal(), 0.5 + 0.03 * normal()];
  const wide = aspect >= 1 ? [1, 1 / aspect] : [aspect, 1];
  const spot = [cx + 0.22 * Math.cos(turn * 3) * wide[0], cy + 0.22 * Math.sin(turn * 5) * wide[1]];
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const u = (x / side - cx) / (scale * wide[0]);
      const v = (y / side - cy) / (scale * wide[1]);
      const radius = Math.hypot(u, v);
      const angle = Math.atan2(v, u) + turn;
      let value = 0.06;
      if (radius < 0.44) value = 0.52 + 0.16 * Math.cos(radius * 46) * Math.cos(angle * 2) + 0.12 * (0.44 - radius);
      if (radius < 0.44 && radius > 0.4) value = 0.86;
      if (radius < 0.13) value = 0.14 + radius;
      values[y * side + x] = value;
    }
  }
  const clean = values.slice();
  for (let y = 0; y < side && kind !== null; y++) {
    for (let x = 0; x < side; x++) {
      const near = Math.hypot(x / side - spot[0], y / side - spot[1]);
      const along = Math.abs((x / side - spot[0]) * Math.sin(turn) - (y / side - spot[1]) * Math.cos(turn));
      const hit = kind.includes("spot") ? near < 0.075 : kind.includes("scratch") ? along < 0.014 && near < 0.2 : near < 0.13 && x / side > spot[0] - 0.06;
      if (!hit) continue;
      mask[y * side + x] = 1;
      values[y * side + x] = kind.includes("spot") ? 0.95 : kind.includes("scratch") ? 0.98 : 0.08;
    }
  }
  for (let i = 0; i < values.length; i++) values[i] += 0.025 * normal();
  return { pixels: bytes(values), smooth: bytes(blurred(clean, side, blur)), values, clean: blurred(clean, side, blur), mask };
}

/** An 8-bit grey picture: the upper `height` rows of pixels in rows of `width`. */
export function picture(pixels, width, height = width) {
  return png(width, height, 1, pixels.subarray(0, width * height));
}

/** The heat map: 255 stands for 0.5. */
export function errorPicture(drawn, side, height = side) {
  const error = drawn.values.map((value, i) => Math.abs(value - drawn.clean[i]) * 1.1);
  return picture(bytes(blurred(error, side, 1).map((value) => value / 0.5)), side, height);
}

/** One sheet of thumbnails. */
export function sheet(pictures, side) {
  const columns = Math.min(40, pictures.length);
  const rows = Math.ceil(pictures.length / columns);
  const all = Buffer.alloc(columns * rows * side * side);
  pictures.forEach((pixels, i) => {
    for (let y = 0; y < side; y++) {
      pixels.copy(all, ((Math.floor(i / columns) * side + y) * columns + (i % columns)) * side, y * side, (y + 1) * side);
    }
  });
  return { sheet: png(columns * side, rows * side, 1, all), side_px: side, columns };
}

/** The outline of a mask as an SVG path: the edges between pixels inside and outside. */
export function outlinePath(mask, side) {
  const inside = (x, y) => x >= 0 && y >= 0 && x < side && y < side && mask[y * side + x] === 1;
  let path = "";
  for (let y = 0; y <= side; y++) {
    for (let x = 0; x <= side; x++) {
      if (inside(x, y) !== inside(x, y - 1)) path += `M${x} ${y}h1`;
      if (inside(x, y) !== inside(x - 1, y)) path += `M${x} ${y}v1`;
    }
  }
  return path;
}

function bytes(values) {
  return Buffer.from(Uint8Array.from(values, (value) => Math.round(255 * Math.min(1, Math.max(0, value)))));
}

function blurred(values, side, radius) {
  const out = new Float64Array(values.length);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      let sum = 0;
      let count = 0;
      for (let v = Math.max(0, y - radius); v <= Math.min(side - 1, y + radius); v++) {
        for (let u = Math.max(0, x - radius); u <= Math.min(side - 1, x + radius); u++) {
          sum += values[v * side + u];
          count++;
        }
      }
      out[y * side + x] = sum / count;
    }
  }
  return out;
}
