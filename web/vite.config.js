// How the report is built: one HTML file with everything in it. `ABERRA_EXAMPLE=FILE.json npx vite` serves it with an
// example for development, `ABERRA_OUT=FOLDER` builds elsewhere than into dist/.
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";
import { exampleData, singleFile } from "./build/single-file.js";

export default defineConfig(({ command }) => ({
  plugins: [svelte(), command === "build" ? singleFile("report.html") : exampleData(process.env.ABERRA_EXAMPLE)],
  base: "./",
  define: { __SINGLE_FILE__: JSON.stringify(command === "build") },
  build: {
    outDir: process.env.ABERRA_OUT ?? "dist",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: Number.MAX_SAFE_INTEGER,
    cssCodeSplit: false,
    modulePreload: false,
    chunkSizeWarningLimit: 2000,
    // What the app loads when it is needed lies in the one file, too.
    rollupOptions: { input: "report.html", output: { codeSplitting: false } },
  },
  test: { include: ["tests/**/*.test.{ts,js}"] },
}));
