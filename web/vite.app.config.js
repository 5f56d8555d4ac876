// How the web app is built: a page and its files, which `aberra serve` holds within itself. `npx vite --config
// vite.app.config.js` serves it for development beside a running server (ABERRA_URL, http://127.0.0.1:8765 otherwise).
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";
import { licences, namedIndex } from "./build/app-page.js";

const server = process.env.ABERRA_URL ?? "http://127.0.0.1:8765";
/** What comes together, so that sharing it with what comes later does not tear it into pieces: all of the first load, the charts, and
 *  the view of one image with the viewer that volumes have, too. */
const GROUPS = [
  { name: "app", tags: ["$initial"], priority: 3 },
  { name: "charts", test: /node_modules[\\/](echarts|zrender)[\\/]/, priority: 2 },
  { name: "OneImage", test: /src[\\/](app[\\/]OneGiven|views[\\/]OneImage|viewer[\\/]Pictures|charts[\\/]IntervalBar)/, priority: 1 },
];
/** Chunks of what comes only when it is opened bear its folder in their names: tests/weight.test.js counts them apart. */
const opened = (chunk) => ["volume", "calibrating", "kiosk", "exploring"].find((folder) => chunk.moduleIds.some((id) => id.includes(`/src/${folder}/`) && !id.endsWith("/parts.ts")));
// The server answers pages of its own only.
const asOwn = { target: server, changeOrigin: true, headers: { origin: server } };

export default defineConfig({
  plugins: [svelte(), namedIndex("app.html"), licences()],
  define: { __SINGLE_FILE__: "false" },
  build: {
    outDir: `${process.env.ABERRA_OUT ?? "dist"}/app`,
    emptyOutDir: true,
    target: "es2022",
    // The code that announces a chunk's own imports weighs more than the step that it saves beside a server on the same machine.
    modulePreload: false,
    // One small file of styles, so that what comes later does not jump.
    cssCodeSplit: false,
    chunkSizeWarningLimit: 2000,
    rollupOptions: { input: "app.html", output: { chunkFileNames: (chunk) => `assets/${[opened(chunk), "[name]-[hash].js"].filter(Boolean).join("-")}`, codeSplitting: { groups: GROUPS } } },
  },
  server: { proxy: { "/api": asOwn } },
});
