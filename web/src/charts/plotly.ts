// Plotly's 3-D plots, fetched when they are first needed: from the page itself, where it is one file, else by import.
import { unpacked } from "../report/read";

/** The part of Plotly that is used here. */
export interface Plotly {
  react(host: HTMLElement, data: object[], layout: object, config: object): Promise<void>;
  relayout(host: HTMLElement, change: object): Promise<void>;
  purge(host: HTMLElement): void;
  Plots: { resize(host: HTMLElement): void };
}

export interface PlotlyHost extends HTMLDivElement {
  on(event: string, listener: (event: { points: { curveNumber: number; pointNumber: number }[] }) => void): void;
  _fullLayout: { scene: { camera: Camera } };
}

export interface Camera {
  eye: Point;
  up: Point;
  center: Point;
}

interface Point {
  x: number;
  y: number;
  z: number;
}

let loading: Promise<Plotly> | undefined;

export function loadPlotly(): Promise<Plotly> {
  return (loading ??= load());
}

async function load(): Promise<Plotly> {
  if (!__SINGLE_FILE__) return ((await import("plotly.js-gl3d-dist-min")) as { default: Plotly }).default;
  const script = document.createElement("script");
  script.textContent = await unpacked(document.getElementById("packed-plotly")?.textContent ?? "");
  document.head.append(script);
  return (window as unknown as { Plotly: Plotly }).Plotly;
}

/** The eye turned about the vertical axis and towards the poles (radians), and moved nearer by a factor. */
export function turned(eye: Point, around: number, upwards: number, nearer = 1): Point {
  const radius = Math.hypot(eye.x, eye.y, eye.z);
  const azimuth = Math.atan2(eye.y, eye.x) + around;
  const limit = Math.PI / 2 - 0.05;
  const height = Math.min(limit, Math.max(-limit, Math.asin(eye.z / radius) + upwards));
  const far = Math.min(6, Math.max(0.4, radius / nearer));
  return { x: far * Math.cos(height) * Math.cos(azimuth), y: far * Math.cos(height) * Math.sin(azimuth), z: far * Math.sin(height) };
}
