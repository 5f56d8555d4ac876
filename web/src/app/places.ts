// Where one can be in the app: one line a place. The first part of the address after # says which.
import Detectors from "./Detectors.svelte";
import Evaluate from "./Evaluate.svelte";
import Inspect from "./Inspect.svelte";
import Settings from "./Settings.svelte";

export const PLACES = [
  { name: "inspect", title: "Inspect", page: Inspect },
  { name: "evaluate", title: "Evaluate", page: Evaluate },
  { name: "detectors", title: "Detectors", page: Detectors },
  { name: "settings", title: "Settings", page: Settings },
] as const;

export function placeOf(path: readonly string[]): (typeof PLACES)[number] {
  return PLACES.find((place) => place.name === path[0]) ?? PLACES[0];
}
