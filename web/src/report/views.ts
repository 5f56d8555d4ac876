// The report's views, by name.
import Compare from "../views/Compare.svelte";
import EmbeddingSpace from "../views/EmbeddingSpace.svelte";
import Images from "../views/Images.svelte";
import Overview from "../views/Overview.svelte";
import Threshold from "../views/Threshold.svelte";
import Training from "../views/Training.svelte";
import type { View } from "./session.svelte";

export const TITLES: Record<View, string> = {
  overview: "Overview", training: "Training", threshold: "Threshold", images: "Images", embedding: "Embedding space", compare: "Compare",
};

export const COMPONENTS = { overview: Overview, training: Training, threshold: Threshold, images: Images, embedding: EmbeddingSpace, compare: Compare };
