// Where one can be in the app: one line a page. The part of the address after # says which, and what of it.
import About from "./About.svelte";
import Explore from "./Explore.svelte";
import Results from "./Results.svelte";
import Try from "./Try.svelte";

export const PLACES = [
  { name: "try", title: "Try", page: Try },
  { name: "explore", title: "Explore", page: Explore },
  { name: "results", title: "Results", page: Results },
  { name: "about", title: "About", page: About },
] as const;

export function placeOf(hash: string): (typeof PLACES)[number] {
  const name = hash.replace(/^#/, "").split("/")[0];
  return PLACES.find((place) => place.name === name) ?? PLACES[0];
}
