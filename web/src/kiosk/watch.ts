// A folder that is watched, where the browser lets a page read one (Chromium's directory picker).
import type { Given } from "../app/files";

export interface FolderHandle {
  readonly name: string;
  values(): AsyncIterable<{ kind: "file" | "directory"; name: string; getFile(): Promise<File> }>;
}

type Picker = () => Promise<FolderHandle>;

/** Why this page cannot watch a folder; nothing where it can. */
export function whyNotWatching(page: { isSecureContext?: boolean; showDirectoryPicker?: unknown } = globalThis): string {
  if (page.isSecureContext === false) return "Browsers let a page read a folder only over HTTPS, or from localhost.";
  return page.showDirectoryPicker === undefined ? "This browser lets no page read a folder; Chrome and Edge do." : "";
}

export function pickFolder(): Promise<FolderHandle> {
  return (globalThis as unknown as { showDirectoryPicker: Picker }).showDirectoryPicker();
}

/** The files of a folder as they were at the last look, by name: size and time, and whether they were given out so. */
export type Seen = Map<string, { size: number; time: number; given: boolean }>;

/** What lies in the folder already is not news; what of it changes later is. */
export async function firstLook(folder: FolderHandle): Promise<Seen> {
  const seen: Seen = new Map();
  await newFiles(folder, seen);
  for (const file of seen.values()) file.given = true;
  return seen;
}

/** The files that are new or changed since they were given out, by name. A file is given out once it has stayed the same from one look to
 *  the next: before, somebody may be writing it. One that was half-written all the same, and failed, changes, and is given out again. */
export async function newFiles(folder: FolderHandle, seen: Seen): Promise<Given[]> {
  const found: Given[] = [];
  const here = new Set<string>();
  for await (const entry of folder.values()) {
    if (entry.kind !== "file" || entry.name.startsWith(".")) continue;
    here.add(entry.name);
    // Gone or locked meanwhile: it is looked at next time.
    const file = await entry.getFile().catch(() => null);
    if (file === null) continue;
    const [{ name, size, lastModified: time }, before] = [file, seen.get(entry.name)];
    if (before === undefined || before.size !== size || before.time !== time) seen.set(entry.name, { size, time, given: false });
    else if (!before.given && size > 0) {
      before.given = true;
      found.push({ name, file });
    }
  }
  for (const name of seen.keys()) if (!here.has(name)) seen.delete(name);
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}
