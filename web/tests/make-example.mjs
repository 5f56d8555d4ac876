// Makes example reports for development and tests: numbers drawn from a fixed seed, pictures drawn by code. Nothing in
// them was measured. `node tests/make-example.mjs VARIANT FILE.json`; VARIANTS below lists the variants.
import { writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { drawPhantom, errorPicture, outlinePath, picture, sheet } from "./phantom-pictures.mjs";

export const VARIANTS = ["typical", "no-anomalies", "one-image", "many", "hostile", "latent-1", "latent-2", "bare", "members", "no-reconstruction", "no-map", "volumes"];

const KINDS = ["spot", "scratch", "missing part"];
const described = (about, unit = "") => ({ about, unit, direction: "higher-is-unusual" });
const MEASUREMENTS = {
  vae: {
    squared_error: described("mean squared reconstruction error", "intensity^2"), ssim_error: described("1 - structural similarity of image and reconstruction"),
    peak_error: described("weighted error of the small area where it is largest"), expected_error: { about: "squared error that the decoder expects", unit: "intensity^2", direction: "context" },
    kl: described("KL divergence of the posterior from the prior", "nats"), neighbour_distance: described("mean distance of the embedding to its 5 nearest training normals", "standard deviations"),
  },
  vqvae: {
    squared_error: described("mean squared reconstruction error", "intensity^2"), quantisation_error: described("squared distance of the latent grid to its codes, mean over the grid", "latent units^2"),
    code_rarity: described("negative log-frequency of the image's codes among the training normals, mean over the grid", "nats"),
  },
  features: { patch_distance: described("largest distance of a patch to its nearest training patch") },
  image: { gradient_energy: { about: "mean squared gradient of the image: complexity", unit: "intensity^2", direction: "context" } },
};
/** How far an anomaly lifts a measurement's percentile. */
const LIFTS = [0.4, 0.3, 0.5, 0.1, 0.3, 0.2];
const HOSTILE = ['<img src=x onerror="window.broken=1">.png', "a</script><script>window.broken=1</script>.png", "a & b < c \"d\" 'e'.png", "ein sehr langer Name ohne jede Lücke_".repeat(6) + ".png", "名前.png"];

/** Uniform and normal draws from a seed (mulberry32). */
export function draws(seed) {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  return { uniform, normal };
}

export function example(variant) {
  if (!VARIANTS.includes(variant)) throw new Error(`expected a variant of ${VARIANTS.join(", ")}; found ${variant}`);
  const { uniform, normal } = draws(41);
  const sizes = { "typical": [240, 160], "no-anomalies": [120, 0], "one-image": [0, 1], "many": [14000, 6000] };
  const [normals, anomalies] = sizes[variant] ?? [60, 40];
  const latent = variant === "latent-1" ? 1 : variant === "latent-2" ? 2 : 16;
  const components = Math.min(latent, 10);
  const masks = variant !== "bare";
  const members = variant === "members" ? ["vae", "vqvae"] : ["no-reconstruction", "no-map"].includes(variant) ? ["features"] : ["vae"];
  const shape = variant === "no-reconstruction" ? { height: 48, width: 64, channels: 1 } : { height: 64, width: 64, channels: 1 };
  const measurements = [...members, "image"].flatMap((member) => Object.entries(MEASUREMENTS[member]).map(([name, one]) => ({ name: `${member}.${name}`, ...one })));
  const embeds = !members.includes("features");
  const maps = variant !== "no-map";
  const calibration = Array.from({ length: 99 }, () => 1.1 + 0.55 * normal()).sort((a, b) => a - b);
  const threshold = calibration[94];

  const images = [];
  for (let i = 0; i < normals + anomalies; i++) {
    const kind = i < normals ? null : KINDS[i % KINDS.length];
    const shift = kind === null ? 0 : [1.9, 0.9, 0.45][i % KINDS.length];
    const score = 1.15 + shift + (kind === null ? 0.58 : 0.85) * normal();
    const name = variant === "hostile" ? HOSTILE[i % HOSTILE.length] : `${kind === null ? "good" : kind.replace(" ", "-")}/${String(i).padStart(4, "0")}.png`;
    const percentile = (lift) => Math.round(1000 * Math.min(1, Math.max(0, 0.5 + 0.28 * normal() + lift))) / 10;
    images.push({
      id: i,
      name,
      kind: variant === "hostile" && kind !== null ? `<b>${kind}</b>` : kind,
      group: Math.floor(i / 1.3),
      weight: 1,
      width: i % 5 === 0 && variant !== "volumes" ? 480 : 640,
      height: i % 5 === 0 && variant !== "volumes" ? 1200 : 480,
      spacing_mm: i % 3 === 0 || variant === "volumes" ? [0.5, 0.4] : null,
      score,
      p_value: variant === "bare" ? null : (1 + calibration.filter((one) => one >= score).length) / (1 + calibration.length),
      anomalous: score > threshold,
      leaked: i % 41 === 7,
      anomalous_share: !maps ? null : Math.min(1, Math.max(0, 0.01 + shift * 0.02 + 0.008 * normal())),
      evidence: Object.fromEntries(measurements.map(({ name }, k) => [name, (k + 1) * 0.31 * Math.exp(0.2 * normal() + shift * 0.2)])),
      evidence_percentiles: Object.fromEntries(measurements.map(({ name, direction }, k) => [name, percentile(direction === "context" ? 0.4 * uniform() : shift * LIFTS[k % LIFTS.length])])),
      scores: { fusion: score, mse: score * 0.5 + 0.4 * normal(), peak: score * 0.9 + 0.3 * normal() },
      thumbnail: null,
      pca: Array.from({ length: embeds ? components : 0 }, (_, k) => (k < 2 ? shift * (k === 0 ? 1.6 : -0.8) : 0) + (3 / (1 + k * 0.5)) * normal()),
      nearest: [],
      pictures: null,
      // Cropped above and below to a square.
      window: variant === "volumes" ? { left: 0, top: 0, width: shape.width, height: shape.height } : null,
      content: variant === "volumes" ? { left: 80, top: 0, width: 480, height: 480 } : null,
    });
  }

  // Each group counts once in each class.
  const classOf = ({ group, kind }) => `${group} ${kind === null}`;
  const inClass = new Map();
  for (const image of images) inClass.set(classOf(image), (inClass.get(classOf(image)) ?? 0) + 1);
  for (const image of images) image.weight = 1 / inClass.get(classOf(image));
  // A slice of the first volume that has others with an anomaly: its mask marks nothing here.
  const volumeOf = ({ id }) => Math.floor(id / SLICES);
  const shown = images.find((image) => image.kind !== null && images.some((other) => other.kind === null && volumeOf(other) === volumeOf(image)));
  const unmarked = variant === "volumes" ? images.filter((image) => image.kind === null && volumeOf(image) === volumeOf(shown)).slice(0, 1) : [];
  for (const image of unmarked) Object.assign(image, { weight: 0, kind: shown.kind });

  const pictured = new Set([...images].sort((a, b) => Math.abs(a.score - threshold) - Math.abs(b.score - threshold)).slice(0, 60).map((image) => image.id));
  for (const image of [...images].sort((a, b) => b.score - a.score).slice(0, 60)) pictured.add(image.id);
  if (variant === "volumes") for (const image of images.slice(0, 72)) pictured.add(image.id);
  const side = shape.width;
  const canvases = [];
  const errorMax = 0.5;
  const TRAINING = 1e6;
  for (const image of images) {
    if (image.id % Math.max(1, Math.round(images.length / 2000)) === 0) {
      image.thumbnail = canvases.length;
      canvases.push(drawPhantom(48, image.id, image.kind, image.width / image.height).pixels);
    }
    if (!pictured.has(image.id)) continue;
    const drawn = drawPhantom(side, image.id, image.kind, image.width / image.height);
    image.pictures = {
      input: picture(drawn.pixels, side, shape.height),
      reconstruction: embeds ? picture(drawn.smooth, side, shape.height) : null,
      error: maps ? errorPicture(drawn, side, shape.height) : null,
      mask_path: masks && image.kind !== null && image.weight > 0 ? outlinePath(drawn.mask, side) : null,
    };
    if (!embeds) continue;
    image.nearest = Array.from({ length: 5 }, (_, k) => ({ distance: 1.2 + 0.37 * k + 0.1 * uniform(), thumbnail: TRAINING + ((image.id + k) % 8), name: `train/${String(image.id * 7 + k).padStart(4, "0")}.png` }));
  }

  for (const image of images) for (const near of image.nearest) near.thumbnail += canvases.length - TRAINING;
  for (let k = 0; k < 8; k++) canvases.push(drawPhantom(48, 900 + k, null).pixels);

  const bothClasses = normals > 0 && anomalies > 0;
  const why = anomalies === 0 ? "the test set holds no anomalies" : "the test set holds no normal images";
  const normalImages = images.filter((image) => image.kind === null);
  const anomalous = images.filter((image) => image.kind !== null);
  const flagged = (list) => list.filter((image) => image.anomalous).length;
  const { normals: _, anomalies: __, ...figures } = figuresOf(images.filter((image) => image.weight > 0));
  const leaked = images.filter((image) => image.leaked).length;
  const area = bothClasses ? figures.auroc.value : 0;

  const decode = (seed) => picture(drawPhantom(side, seed, null).smooth, side);
  const hostile = variant === "hostile";
  const summary = [
    `Trained on ${hostile ? "<b>parts</b>" : "parts"}/train: 780 normal images in 612 groups; nothing anomalous was seen.`,
    `On average at most 5 % of new normal images like those it was calibrated on are false alarms.`,
    normals > 0 ? `In this test set ${flagged(normalImages)} of ${normals} normal images lie above the threshold.` : "This test set holds no normal images, so the promise cannot be held against it.",
    anomalies > 0 ? `It finds ${flagged(anomalous)} of ${anomalies} anomalies.` : "This test set holds no anomalies: whether they would be found cannot be said.",
  ];
  return {
    version: 3,
    aberra_version: "0.1.0",
    made_at_secs: null,
    summary,
    warnings: bothClasses ? ["7 test images are near-duplicates of images that the detector was made from; without them the AUROC is lower.", "The file size alone reaches an AUROC of 0.81: the classes may differ in how they were saved."] : [],
    detector: {
      name: hostile ? "<i>detector</i>.aberra" : "detector.aberra", hash: "b3:7f3a9c0d12e4", aberra_version: "0.1.0", made_from: "parts/train", scorer: "fusion", scorers: [["fusion", "residual, latent distance and the error's peak, added up"], ["mse", "mean squared reconstruction error"]].map(([name, about]) => ({ name, about })),
      evidence_weights: [{ measurement: "vae.peak_error", weight: 0.7, synthetic_auroc: 0.81 }, { measurement: "vae.kl", weight: 0.3, synthetic_auroc: 0.66 }],
      input: shape, pictures_show: variant === "members" ? "pictures show the channel t1, not flair" : null, tiles: null, members: members.map((member) => memberCard(hostile ? "<i>vae</i>" : member, latent)), parameters: 412345 * members.length, device: variant === "bare" ? null : "cpu", pixel_threshold: maps ? errorMax / 2 : null,
      train: { images: 640, groups: 500 }, fit: { images: 70, groups: 56 }, calibration: { images: 120, groups: 99 },
      threshold, calibration_scores: variant === "bare" ? [] : calibration,
      volumes: variant === "volumes" ? { threshold: 2.4, calibration_scores: Array.from({ length: 19 }, (_, i) => 1.2 + i / 15), top_share: 0.05, promise: { text: "at most 5 % false alarms on average on exchangeable normal volumes", false_alarm_rate: 0.05, confidence: null } } : null,
      promise: { text: "On average at most 5 % of new normal images are false alarms, if they are like those of the calibration.", false_alarm_rate: 0.05, confidence: null },
      settings_toml: '[model]\nfamily = "vae"\npreset = "small"\nlatent = 16\n\n[preprocessing]\nsize_px = 64\n',
    },
    measurements,
    evaluation: {
      data_name: "parts/test",
      normals: { images: normals, groups: Math.ceil(normals / 1.3) }, anomalies: { images: anomalies, groups: Math.ceil(anomalies / 1.3) },
      unusable: bothClasses ? 2 : 0, left_out_own: bothClasses ? 3 : 0, left_out_beside_own: variant === "volumes" ? 14 : 0, left_out_unmarked: unmarked.length, left_aside: bothClasses ? 12 : null, leaked: { normals: normalImages.filter((i) => i.leaked).length, anomalies: anomalous.filter((i) => i.leaked).length },
      bootstrap: { draws: 2000, level: 0.95 },
      ...figures,
      shortcuts: bothClasses ? [{ name: "bytes per pixel", auroc: 0.81 }, { name: "mean", auroc: 0.58 }, { name: "size 480 x 1200", auroc: 0.53 }, { name: "colour mode grey", auroc: 0.5 }] : [],
      pixels: when(masks && maps && bothClasses, { auroc: 0.913, average_precision: 0.344, average_precision_of_chance: 0.0214, pro: 0.71, dice_at_threshold: 0.38, intervals: variant === "hostile" ? null : { auroc: [0.88, 0.94], average_precision: [0.27, 0.42], pro: [0.64, 0.77], dice_at_threshold: [0.31, 0.44] }, images_with_mask: anomalies }, !maps ? "the detector makes no maps" : masks ? why : "no image of the test set has a mask"),
      volumes: variant === "volumes" ? volumeFigures() : null,
      without_leaked: leaked > 0 ? figuresOf(images.filter((image) => !image.leaked && image.weight > 0)) : null,
    },
    training: variant === "bare" || variant === "one-image" ? { unavailable: "the detector was saved without its run folder, so there is no history" } : members.filter((member) => member !== "features").map((member) => history(member, normal, side)),
    images,
    images_in_all: images.length,
    volumes: variant === "volumes" ? volumesOf(images) : [],
    thumbnails: canvases.length > 0 && variant !== "bare" ? sheet(canvases, 48) : null,
    latent: embeds ? latentData(latent, components, normal, decode, variant === "members") : { unavailable: "no member of this detector has an embedding space" },
    compare: {
      note: null, average_precision_of_chance: figures.average_precision_of_chance,
      rows: [["fusion", 0, "scorer"], ["peak", -0.012, "scorer"], ["latent", -0.041, "scorer"], ["residual", -0.067, "scorer"], ["mse", -0.188, "scorer"], ["other.aberra", 0.021, "detector"]].map(([name, less, what], k) => ({
        name: `${name}`, what,
        auroc: when(bothClasses, interval(area + less, 0.043), why), average_precision: when(bothClasses, interval(0.78 + less, 0.05), why), recall_at_5_fpr: when(bothClasses, 0.44 + less, why),
        difference: k === 0 ? null : when(bothClasses, { value: less, low: less - 0.03, high: less + 0.028 }, why),
        roc: bothClasses ? { fpr: figures.roc.fpr, tpr: figures.roc.tpr.map((tpr, i) => Math.max(0, Math.min(1, tpr + less * 4 * tpr * (1 - tpr) * (i > 0 ? 1 : 0)))) } : { fpr: [], tpr: [] },
      })),
    },
    pixel_threshold: errorMax / 2,
    error_scale_max: errorMax,
  };
}

const SLICES = 18;

/** Volumes of 20 slices, the outermost of which show nothing but air: made of images that follow each other. */
function volumesOf(images) {
  return Array.from({ length: Math.floor(images.length / SLICES) }, (_, k) => {
    const slices = images.slice(k * SLICES, (k + 1) * SLICES);
    const worst = slices.reduce((best, image) => (image.score > best.score ? image : best));
    const kind = slices.find((image) => image.kind !== null)?.kind ?? null;
    return { name: `${kind === null ? "good" : kind}/${String(k).padStart(3, "0")}.nii.gz`, kind, group: k, leaked: slices.some((image) => image.leaked), score: worst.score, p_value: 0.05 * (k + 1), anomalous: worst.score > 2.4, top: 1, worst: slices.indexOf(worst) + 2, slices: [null, ...slices.map((image) => image.id), null], slice_spacing_mm: 3 };
  });
}

function volumeFigures() {
  return { normals: 3, anomalies: 2, auroc: interval(0.83, 0.16), average_precision: interval(0.8, 0.18), average_precision_of_chance: 0.4, recall: interval(0.5, 0.45), realised_false_alarm_rate: interval(0, 0.3), left_out_own: 1, unusable: 0 };
}

const interval = (value, half) => ({ value, low: Math.max(0, value - half), high: Math.min(1, value + half) });
const when = (ok, value, reason) => (ok ? value : { unavailable: reason });

/** The figures of detection on some of the images, each weighed among them. */
function figuresOf(all) {
  const classOf = ({ group, kind }) => `${group} ${kind === null}`;
  const inClass = new Map();
  for (const image of all) inClass.set(classOf(image), (inClass.get(classOf(image)) ?? 0) + 1);
  const images = all.map((image) => ({ ...image, weight: 1 / inClass.get(classOf(image)) }));
  const [normals, anomalies] = [images.filter((image) => image.kind === null), images.filter((image) => image.kind !== null)];
  const both = normals.length > 0 && anomalies.length > 0;
  const why = anomalies.length === 0 ? "the test set holds no anomalies" : "the test set holds no normal images";
  const weight = (list) => list.reduce((sum, image) => sum + image.weight, 0);
  const rate = (list) => weight(list.filter((image) => image.anomalous)) / Math.max(1, weight(list));
  const size = (list) => ({ images: list.length, groups: new Set(list.map((image) => image.group)).size });
  const curves = both ? curvesOf(images, weight(normals), weight(anomalies)) : { roc: { fpr: [], tpr: [], tpr_low: [], tpr_high: [] }, pr: { recall: [], precision: [], precision_low: [], precision_high: [] } };
  return {
    normals: size(normals), anomalies: size(anomalies),
    auroc: when(both, both ? interval(auroc(normals, anomalies), 0.042) : null, why),
    average_precision: when(both, interval(0.78, 0.051), why),
    average_precision_of_chance: when(both, weight(anomalies) / (weight(anomalies) + weight(normals)), why),
    realised_false_alarm_rate: when(normals.length > 0, interval(rate(normals), 0.03), "the test set holds no normal images"),
    recall: when(anomalies.length > 0, interval(rate(anomalies), 0.07), "the test set holds no anomalies"),
    kinds: [...new Set(anomalies.map((image) => image.kind))].map((kind) => {
      const own = anomalies.filter((image) => image.kind === kind);
      return {
        kind, ...size(own), flagged: own.filter((image) => image.anomalous).length,
        auroc: when(both, both ? interval(auroc(normals, own), 0.05) : null, why), average_precision: when(both, interval(0.62, 0.08), why), recall: rate(own),
      };
    }),
    ...curves,
  };
}

function auroc(normals, anomalies) {
  const sorted = normals.map((image) => image.score).sort((a, b) => a - b);
  const below = (score) => { let low = 0, high = sorted.length; while (low < high) { const middle = (low + high) >> 1; if (sorted[middle] < score) low = middle + 1; else high = middle; } return low; };
  return anomalies.reduce((sum, image) => sum + below(image.score), 0) / (normals.length * anomalies.length);
}

function curvesOf(images, normals, anomalies) {
  const ranked = [...images].sort((a, b) => b.score - a.score);
  const roc = { fpr: [0], tpr: [0], tpr_low: [0], tpr_high: [0] };
  const pr = { recall: [0], precision: [1], precision_low: [1], precision_high: [1] };
  let hits = 0;
  let alarms = 0;
  const step = Math.max(1, Math.floor(ranked.length / 200));
  ranked.forEach((image, i) => {
    if (image.kind === null) alarms += image.weight; else hits += image.weight;
    if (i % step !== 0 && i !== ranked.length - 1) return;
    const tpr = hits / anomalies;
    const precision = hits / (hits + alarms);
    const half = 1.96 * Math.sqrt((tpr * (1 - tpr)) / anomalies) * 1.3;
    const halfPrecision = 1.96 * Math.sqrt((precision * (1 - precision)) / (hits + alarms)) * 1.3;
    roc.fpr.push(alarms / normals); roc.tpr.push(tpr); roc.tpr_low.push(Math.max(0, tpr - half)); roc.tpr_high.push(Math.min(1, tpr + half));
    pr.recall.push(tpr); pr.precision.push(precision); pr.precision_low.push(Math.max(0, precision - halfPrecision)); pr.precision_high.push(Math.min(1, precision + halfPrecision));
  });
  return { roc, pr };
}

function memberCard(name, latent) {
  const features = name === "features";
  return {
    name, family: name.replace(/<[^>]*>/g, ""), preset: name === "vqvae" ? null : "small", precision: features ? null : "f32",
    embedding_dimensions: features ? null : latent, parameters: features ? 0 : 412345, best_epoch: features ? 0 : 46, standardized_shift: features ? null : 1.384,
  };
}

/** A history as the member's family writes it: names of terms and figures are its own. */
function history(member, normal, side) {
  const epochs = Array.from({ length: 60 }, (_, i) => {
    const fade = Math.exp(-i / 12);
    const reconstruction = 1450 + 5200 * fade + 25 * normal();
    const second = Math.max(0, 34 * (1 - Math.exp(-i / 9)) + 0.3 * normal());
    const overfit = Math.max(0, i - 45) * 4;
    const loss = (first, second) => ({ total: first + second, terms: member === "vqvae" ? { mse: 0.6 * first, ssim: 0.4 * first, commitment: second } : { reconstruction: first, kl: second } });
    const figures = member === "vqvae" ? { perplexity: 410 * (1 - 0.9 * fade), ...(i < 3 ? {} : { dead_codes: Math.round(80 * fade) }) } : { beta: Math.min(1, (i + 1) / 10) };
    return {
      epoch: i + 1, train: loss(reconstruction, second), held_out: loss(reconstruction * 1.05 + overfit + 30, second * 1.02),
      figures, learning_rate: 0.001 * (0.5 + 0.5 * Math.cos((Math.PI * i) / 60)), best: i + 1 === 46, standardized_shift: i % 5 === 0 ? 1.4 - Math.abs(i - 45) / 60 : null, images_per_s: member === "vqvae" ? null : 930 + 20 * normal(),
    };
  });
  const seeds = [3, 11, 25, 38];
  return {
    member,
    epochs,
    best_epoch: 46,
    criterion: member === "vqvae" ? "held-out-loss" : "synthetic",
    snapshots: {
      inputs: seeds.map((seed) => picture(drawPhantom(side, seed, null).pixels, side)),
      epochs: [1, 5, 10, 20, 30, 46, 60].map((epoch) => ({ epoch, reconstructions: seeds.map((seed) => picture(drawPhantom(side, seed, null, 1, Math.max(1, Math.round(14 / Math.sqrt(epoch)))).smooth, side)) })),
    },
  };
}

/** `points`: embeddings that are no distributions, and nothing that decodes them. */
function latentData(latent, components, normal, decode, points) {
  const shares = Array.from({ length: components }, (_, k) => 0.34 * 0.68 ** k);
  const spread = (k) => 3 / (1 + k * 0.5);
  const positions = [-3, -2, -1, 0, 1, 2, 3];
  return {
    explained: latent === 1 ? [1] : shares,
    components,
    calibration: Array.from({ length: 99 }, () => Array.from({ length: components }, (_, k) => spread(k) * normal())),
    ellipse: components < 2 ? null : { mean: [0, 0], covariance: [[9, 0.4], [0.4, 4]], chi_square: 5.991 },
    kl_per_dimension: Array.from({ length: points ? 0 : latent }, (_, k) => Math.max(0.0004, 4.2 * 0.7 ** k + 0.05 * Math.abs(normal()) * 0.6 ** k)),
    traversals: points ? [] : Array.from({ length: Math.min(3, components) }, (_, k) => ({ name: `PC ${k + 1}`, positions, pictures: positions.map((at) => decode(100 * k + 50 + at)) }))
      .concat(Array.from({ length: Math.min(4, latent) }, (_, k) => ({ name: `dimension ${k + 1}`, positions, pictures: positions.map((at) => decode(100 * k + 77 + at)) }))),
    prior_samples: Array.from({ length: points ? 0 : 16 }, (_, k) => decode(500 + k)),
  };
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [variant = "typical", path = "example.json"] = process.argv.slice(2);
  writeFileSync(path, JSON.stringify(example(variant)));
}
