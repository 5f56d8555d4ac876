// The report's views, by name.
import Compare from "../views/Compare.svelte";
import Images from "../views/Images.svelte";
import Latent from "../views/Latent.svelte";
import Overview from "../views/Overview.svelte";
import Threshold from "../views/Threshold.svelte";
import Training from "../views/Training.svelte";
import type { View } from "./session.svelte";

export const TITLES: Record<View, string> = {
  overview: "Overview", training: "Training", threshold: "Threshold", images: "Images", latent: "Latent space", compare: "Compare",
};

export const COMPONENTS = { overview: Overview, training: Training, threshold: Threshold, images: Images, latent: Latent, compare: Compare };
