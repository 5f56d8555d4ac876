// What a report holds: the JSON that `aberra report` embeds and that the server answers. The Rust side of it is
// `crates/aberra/src/report/data.rs`; a test there compares the two.
//
// Numbers are raw: scores in the scorer's units, errors in the units of the error map, losses in nats per image. A
// number that cannot be computed is `{unavailable: reason}`, never 0.

/** A number, or why there is none. */
export type Figure<T = number> = T | { unavailable: string };

/** A point estimate with a 95 % bootstrap interval. */
export interface Interval {
  value: number;
  low: number;
  high: number;
}

export interface ReportData {
  version: 1;
  aberra_version: string;
  /** Seconds since 1970, or null in tests. */
  made_at_secs: number | null;
  /** The verdict in words: one short paragraph a line. */
  summary: string[];
  warnings: string[];
  /** The first is the detector the report is about; the others are beside it on Compare. */
  detector: DetectorData;
  evaluation: EvaluationData;
  training: Figure<TrainingData>;
  images: ImageData[];
  /** Of all images of the test set, where thumbnails had to be sampled. */
  images_in_all: number;
  /** One JPEG of all thumbnails, in rows; image number `thumbnail` lies at column thumbnail % columns. */
  thumbnails: { sheet: Picture; side_px: number; columns: number } | null;
  latent: Figure<LatentData>;
  compare: CompareData;
  /** The scale of error maps: an 8-bit grey value g stands for error g / 255 * error_scale_max; the colour scale is
   *  anchored at the pixel threshold, in its middle, and ends at twice that (= error_scale_max). */
  pixel_threshold: number;
  error_scale_max: number;
}

/** A data: address, or an address of the server. */
export type Picture = string;

export interface DetectorData {
  name: string;
  hash: string | null;
  made_from: string;
  scorer: string;
  preset: string;
  size_px: number;
  latent: number;
  parameters: number;
  precision: string;
  best_epoch: number;
  train: PartSize;
  fit: PartSize;
  calibration: PartSize;
  threshold: number;
  /** Sorted scores of the calibration normals that count, one a group: p-value of s is (1 + #{>= s}) / (1 + n). */
  calibration_scores: number[];
  promise: {
    /** In words. */
    text: string;
    /** null where the threshold promises no rate: one chosen with labels, by a percentile or by hand. */
    false_alarm_rate: number | null;
    confidence: number | null;
  };
  /** All settings, as TOML. */
  settings_toml: string;
}

export interface PartSize {
  images: number;
  groups: number;
}

export interface EvaluationData {
  data_name: string;
  normals: PartSize;
  anomalies: PartSize;
  unusable: number;
  left_out_own: number;
  leaked: { normals: number; anomalies: number };
  /** Bootstrap: draws and confidence level, for captions. */
  bootstrap: { draws: number; level: number };
  auroc: Figure<Interval>;
  average_precision: Figure<Interval>;
  /** AUROC without near-copies of the detector's own normals, where there are any. */
  auroc_without_leaked: Figure<Interval> | null;
  /** Share of normals above the detector's threshold, each group of near-copies counted once. */
  realised_false_alarm_rate: Figure<Interval>;
  recall: Figure<Interval>;
  kinds: {
    kind: string;
    images: number;
    groups: number;
    flagged: number;
    auroc: Figure<Interval>;
    average_precision: Figure<Interval>;
    recall: Figure;
  }[];
  /** What files and frames alone give away (a shortcut warns where its AUROC is high). */
  shortcuts: { name: string; auroc: number }[];
  pixels: Figure<{ auroc: Figure; average_precision: Figure; pro: Figure; dice_at_threshold: Figure; images_with_mask: number }>;
  /** ROC and PR with pointwise 95 % bands: equal-length arrays. Empty where a class is missing. */
  roc: { fpr: number[]; tpr: number[]; tpr_low: number[]; tpr_high: number[] };
  pr: { recall: number[]; precision: number[]; precision_low: number[]; precision_high: number[] };
}

export interface TrainingData {
  epochs: {
    epoch: number;
    train_total: number;
    train_reconstruction: number;
    train_kl: number;
    held_out_total: number;
    held_out_reconstruction: number;
    held_out_kl: number;
    beta: number;
    learning_rate: number;
    best: boolean;
    images_per_s: number;
  }[];
  best_epoch: number;
  /** Reconstructions as they improve: the same fixed held-out images at each epoch saved. */
  snapshots: { inputs: Picture[]; epochs: { epoch: number; reconstructions: Picture[] }[] };
}

export interface ImageData {
  /** Position in the test set, its address within the report. */
  id: number;
  name: string;
  /** null for normal, else the kind of anomaly. */
  kind: string | null;
  group: number;
  /** The image's own size. */
  width: number;
  height: number;
  score: number;
  p_value: number;
  anomalous: boolean;
  leaked: boolean;
  /** Share of pixels above the pixel threshold. */
  anomalous_share: number;
  /** What was measured. Empty, like the two below, for images without a thumbnail where there are very many images. */
  evidence: Record<string, number>;
  /** Each measurement's percentile (0 to 100) among the calibration normals. */
  evidence_percentiles: Record<string, number>;
  /** Scores of the other scorers. */
  scores: Record<string, number>;
  /** Number on the thumbnails' sheet, null where it was left out. */
  thumbnail: number | null;
  /** Coordinates on the principal components, as many as `latent.components`. */
  pca: number[];
  /** Nearest training normals in latent space, nearest first; empty for images without `pictures`. `thumbnail` is a
   *  number on the thumbnails' sheet, after those of the test images; null where the normal is not in the data set. */
  nearest: { distance: number; thumbnail: number | null; name: string | null }[];
  /** The full triple, at the network input's size; null beyond the 300 shown. */
  pictures: {
    input: Picture;
    reconstruction: Picture;
    /** 8-bit grey, see error_scale_max. */
    error: Picture;
    /** Outline of the true mask at the network input's size, as an SVG path in pixels; null without a mask. */
    mask_path: string | null;
  } | null;
}

export interface LatentData {
  /** Principal components of the training normals: share of their variance of each, at most 10, greatest first. */
  explained: number[];
  components: number;
  /** Calibration normals on the components, for the cloud and the ellipse: [n][components]. */
  calibration: number[][];
  /** Mean and covariance of calibration normals on the first two components; the ellipse covers 95 % of a normal
   *  distribution like that: (x - mean)' covariance^-1 (x - mean) <= chi_square. null with fewer than two components. */
  ellipse: { mean: [number, number]; covariance: [[number, number], [number, number]]; chi_square: number } | null;
  /** Mean KL of each latent dimension over the calibration normals, nats, in the order of the dimensions. Empty where the
   *  detector was made before it kept them. */
  kl_per_dimension: number[];
  /** Strips of decoded images along a direction through the mean of the training normals. */
  traversals: { name: string; /** in standard deviations */ positions: number[]; pictures: Picture[] }[];
  /** Decoded draws from the prior. */
  prior_samples: Picture[];
}

export interface CompareData {
  /** What to know about the images that are compared on, in plain words; null where they are all of the report's. */
  note: string | null;
  /** Scorers of this detector, and the other detectors on the same test set. */
  rows: { name: string; what: "scorer" | "detector"; auroc: Figure<Interval>; average_precision: Figure<Interval>; recall_at_5_fpr: Figure;
    /** Difference of AUROC to the report's detector and scorer, by a paired bootstrap over groups; null for itself. */
    difference: Figure<Interval> | null;
    roc: { fpr: number[]; tpr: number[] } }[];
}
