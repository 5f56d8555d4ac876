// The report's views, by name.
import Compare from "../views/Compare.svelte";
import EmbeddingSpace from "../views/EmbeddingSpace.svelte";
import Export from "../views/Export.svelte";
import Images from "../views/Images.svelte";
import Localisation from "../views/Localisation.svelte";
import Overview from "../views/Overview.svelte";
import Threshold from "../views/Threshold.svelte";
import Training from "../views/Training.svelte";
import Volumes from "../views/Volumes.svelte";
import type { View } from "./session.svelte";

export const TITLES: Record<View, string> = {
  overview: "Overview", threshold: "Threshold", images: "Images", volumes: "Volumes", localisation: "Localisation", embedding: "Embedding space", compare: "Compare", training: "Training", export: "Export",
};

export const COMPONENTS = { overview: Overview, threshold: Threshold, images: Images, volumes: Volumes, localisation: Localisation, embedding: EmbeddingSpace, compare: Compare, training: Training, export: Export };
