// How the web app is built: a page and its files, which `aberra serve` holds within itself. `npx vite --config
// vite.app.config.js` serves it for development beside a running server (ABERRA_URL, http://127.0.0.1:8765 otherwise).
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";
import { licences, namedIndex } from "./build/app-page.js";

const server = process.env.ABERRA_URL ?? "http://127.0.0.1:8765";
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
    rollupOptions: { input: "app.html", output: { codeSplitting: { groups: [{ name: "charts", test: /node_modules[\\/](echarts|zrender)[\\/]/ }] } } },
  },
  server: { proxy: { "/api": asOwn } },
});
