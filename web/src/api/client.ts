// The server's interface, typed from its own description (openapi.json -> schema.d.ts by `npm run api`).
import createClient, { type Middleware } from "openapi-fetch";
import type { ReportData } from "../report/data";
import type { Whole } from "../viewer/explained";
import type { components, paths } from "./schema";

type Schemas = components["schemas"];
export type Announcement = Schemas["Announcement"];
export type Calibrated = Schemas["CalibrateResponse"];
export type DetectorSummary = Schemas["DetectorSummary"];
/** A detector; where it was calibrated on this page, its threshold and guarantee are of that. */
export type DetectorDetails = Schemas["DetectorDetails"] & { here?: Here };
export type Explanation = Schemas["Explanation"];
export type Failure = Schemas["ImageProblem"];
export type Latent = Schemas["Latent"];
export type PhantomImage = Schemas["PhantomImage"];

/** How a detector was calibrated on this page, on other normals than its own. */
export interface Here {
  /** Normal images that gave the threshold. */
  images: number;
  /** Areas of every image that are left out, as the server takes them. */
  ignore: string | undefined;
  /** The detector as the server has it. */
  served: DetectorDetails;
}

/** What the server refused, or why it could not be reached. */
export class ServerError extends Error {
  constructor(readonly status: number, detail: string, readonly hint: string | null = null) {
    super(detail);
  }
}

/** An evaluation: there, on its way, or why there is none. */
export type Evaluation = { state: "done"; report: ReportData } | { state: "running"; done: number; of: number } | { state: "none" | "failed"; detail: string; hint: string | null };

const KEPT = "aberra-key";
/** Times that a busy server is asked again. */
const PATIENCE = 60;

let key = kept();

const withKey: Middleware = {
  onRequest({ request }) {
    if (key !== null) request.headers.set("Authorization", `Bearer ${key}`);
    return request;
  },
};

export const client = createClient<paths>({ baseUrl: globalThis.location?.origin ?? "" });
client.use(withKey);

/** Remembers the API key until the browser is closed. */
export function useKey(given: string): void {
  key = given;
  try {
    sessionStorage.setItem(KEPT, given);
  } catch {
    // A page that may store nothing asks again.
  }
}

/** Whether this server was given a key. */
export function isKeyed(): boolean {
  return key !== null;
}

/** Forgets the key. */
export function forgetKey(): void {
  key = null;
  try {
    sessionStorage.removeItem(KEPT);
  } catch {
    // Nothing was kept.
  }
}

/** The description of the interface, for programs. */
export async function description(): Promise<string> {
  const answer = await fetch("/api/v1/openapi.json", { headers: key === null ? {} : { Authorization: `Bearer ${key}` } });
  if (!answer.ok) throw new ServerError(answer.status, `The server answered ${answer.status}`);
  return answer.text();
}

export async function detectors() {
  return found(await asked(() => client.GET("/api/v1/detectors")));
}

export async function details(detector: string): Promise<DetectorDetails> {
  return found(await asked(() => client.GET("/api/v1/detectors/{detector}", { params: { path: { detector } } })));
}

/** Why one image's verdict is what it is, without what is left out of it; a failure of the image itself is a value, not an error. */
export async function explain(detector: string, image: Blob, query: { threshold?: number; ignore?: string; announce?: string }, name: string): Promise<Explanation | Failure> {
  const { data, error, response } = await patiently(() => client.POST("/api/v1/detectors/{detector}/explain", {
    params: { path: { detector }, query },
    // The image as it is; where others see the verdict, with its name.
    body: (query.announce === undefined ? image : named(image, name)) as unknown as string,
    bodySerializer: (body) => body as unknown as Blob,
    headers: query.announce === undefined ? { "Content-Type": "application/octet-stream" } : {},
  }));
  const answer = data ?? (response.status === 422 ? (error as NonNullable<typeof data>) : undefined);
  const one = answer?.images[0];
  if (one?.explanation) return one.explanation;
  if (one?.error) return one.error;
  throw refused(response, error);
}

function named(image: Blob, name: string): FormData {
  const form = new FormData();
  form.append("image", image, name);
  return form;
}

/** A picture of an image at its own resolution, for formats that browsers do not show; null where the server cannot draw it. */
export async function picture(detector: string, image: Blob): Promise<Blob | null> {
  const { data } = await patiently(() => client.POST("/api/v1/detectors/{detector}/picture", {
    params: { path: { detector } },
    body: image as unknown as string,
    bodySerializer: (body) => body as unknown as Blob,
    headers: { "Content-Type": "application/octet-stream" },
    parseAs: "blob",
  }));
  return (data as unknown as Blob | undefined) ?? null;
}

/** The verdicts that clients of the server announced after one of them, the oldest first. */
export async function announced(detector: string, after: number): Promise<Announcement[]> {
  return found(await asked(() => client.GET("/api/v1/detectors/{detector}/announced", { params: { path: { detector }, query: { after } } }))).announced;
}

/** The threshold that new normal images give at a false-alarm rate, areas left out; the detector stays as it is. */
export async function calibrate(detector: string, images: File[], rate: number, ignore: string | undefined): Promise<Calibrated> {
  return found(await patiently(() => client.POST("/api/v1/detectors/{detector}/calibrate", normals(detector, images, rate, ignore))));
}

/** The detector file that has that threshold, and ignores those areas. */
export async function calibratedFile(detector: string, images: File[], rate: number, ignore: string | undefined): Promise<Blob> {
  return found(await patiently(() => client.POST("/api/v1/detectors/{detector}/calibrated", { ...normals(detector, images, rate, ignore), parseAs: "blob" }))) as unknown as Blob;
}

/** What is asked with normal images: their form as it is. */
function normals(detector: string, images: File[], rate: number, ignore: string | undefined) {
  const form = new FormData();
  for (const image of images) form.append("image", image);
  return { params: { path: { detector }, query: { rate, ignore } }, body: form as unknown as string, bodySerializer: (body: unknown) => body as FormData };
}

/** The embedding space that is shown, or why there is none. */
export async function latent(detector: string): Promise<Latent | { unavailable: string }> {
  const answer = await asked(() => client.GET("/api/v1/detectors/{detector}/latent", { params: { path: { detector } } }));
  return answer.response.status === 404 ? { unavailable: refused(answer.response, answer.error).message } : found(answer);
}

export async function decode(detector: string, what: { latents: number[][] } | { prior: { seed: number; count: number } }) {
  return found(await patiently(() => client.POST("/api/v1/detectors/{detector}/decode", { params: { path: { detector } }, body: what })));
}

export async function evaluation(detector: string): Promise<Evaluation> {
  const { data, error, response } = await asked(() => client.GET("/api/v1/detectors/{detector}/evaluation", { params: { path: { detector } } }));
  if (response.status === 202) {
    const { done, of } = data as Schemas["EvaluationProgress"];
    return { state: "running", done, of };
  }
  if (data !== undefined) return { state: "done", report: data as ReportData };
  if (response.status !== 404 && response.status !== 500) throw refused(response, error);
  const { message, hint } = refused(response, error);
  return { state: response.status === 404 ? "none" : "failed", detail: message, hint };
}

/** The file of an evaluated image, or a picture of it, at its own resolution; null where the server has none to give. */
export async function evaluated(detector: string, id: number): Promise<Whole | null> {
  const { data, response } = await asked(() => client.GET("/api/v1/detectors/{detector}/evaluation/images/{id}", { params: { path: { detector, id } }, parseAs: "blob" }));
  return data === undefined ? null : { file: data as unknown as Blob, drawn: response.headers.get("Content-Type") === "image/png" };
}

export async function phantoms(): Promise<PhantomImage[]> {
  return found(await asked(() => client.GET("/api/v1/phantoms"))).images;
}

export async function phantom(id: number): Promise<Blob> {
  return found(await asked(() => client.GET("/api/v1/phantoms/{id}", { params: { path: { id } }, parseAs: "blob" }))) as unknown as Blob;
}

interface Answered<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

async function asked<T>(ask: () => Promise<Answered<T>>): Promise<Answered<T>> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ServerError(0, "The server cannot be reached", "Is aberra serve still running?");
  }
}

/** Asks again while the server is busy, when it says so. */
export async function patiently<T>(ask: () => Promise<Answered<T>>): Promise<Answered<T>> {
  for (let times = 0; ; times++) {
    const answer = await asked(ask);
    if (answer.response.status !== 503 || times === PATIENCE) return answer;
    const seconds = Number(answer.response.headers.get("Retry-After")) || 1;
    await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
  }
}

function found<T>({ data, error, response }: Answered<T>): T {
  if (data === undefined) throw refused(response, error);
  return data;
}

export function refused(response: Response, error: unknown): ServerError {
  const problem = typeof error === "object" && error !== null ? (error as Partial<Schemas["Problem"]>) : {};
  return new ServerError(response.status, problem.detail ?? `The server answered ${response.status}`, problem.hint ?? null);
}

function kept(): string | null {
  try {
    return sessionStorage.getItem(KEPT);
  } catch {
    return null;
  }
}
