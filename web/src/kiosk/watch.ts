// A folder that is watched, where the browser lets a page read one (Chromium's directory picker).
import type { Given } from "../app/files";

export interface FolderHandle {
  readonly name: string;
  values(): AsyncIterable<{ kind: "file" | "directory"; name: string; getFile(): Promise<File> }>;
}

type Picker = () => Promise<FolderHandle>;

export function watches(): boolean {
  return "showDirectoryPicker" in globalThis;
}

export function pickFolder(): Promise<FolderHandle> {
  return (globalThis as unknown as { showDirectoryPicker: Picker }).showDirectoryPicker();
}

/** The files that were not there before, by name; they are added to `seen`. */
export async function newFiles(folder: FolderHandle, seen: Set<string>): Promise<Given[]> {
  const found: Given[] = [];
  for await (const entry of folder.values()) {
    if (entry.kind !== "file" || entry.name.startsWith(".") || seen.has(entry.name)) continue;
    seen.add(entry.name);
    found.push({ name: entry.name, file: await entry.getFile() });
  }
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}
