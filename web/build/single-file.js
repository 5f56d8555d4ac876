// Puts the scripts and styles of a built page into the page itself, so that it opens from disk without a network.
//
// Plotly is 1.7 MB and only the 3-D plot needs it: it is stored compressed in an inert element and unpacked when that
// plot is first opened (src/charts/plotly.ts). fflate compresses it, because zlib's bytes differ between machines.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { gzipSync } from "fflate";

const require = createRequire(import.meta.url);

/** Where `aberra report` puts the report's data. */
export const MARKER = "<!--aberra-report-->";

/** A Vite plugin that leaves one file, `page`, in the output folder. */
export function singleFile(page) {
  return {
    name: "single-file",
    enforce: "post",
    generateBundle(_options, bundle) {
      const html = bundle[page];
      let scripts = "";
      let styles = "";
      for (const [name, file] of Object.entries(bundle)) {
        if (name === page) continue;
        if (file.type === "chunk") scripts += file.code;
        else if (name.endsWith(".css")) styles += file.source;
        else this.error(`${name}: expected scripts and styles only, so that the page is one file`);
        delete bundle[name];
      }
      let text = html.source
        .replace(/\s*<script type="module"[^>]*><\/script>/g, "")
        .replace(/\s*<link rel="stylesheet"[^>]*>/g, "");
      text = insert(text, "</head>", `<style>${styles.trim().replaceAll("</style", "<\\/style")}</style>\n  `);
      // What the app loads when it is needed is in this file: there is nothing to load before it, which Vite would fill in later.
      const whole = scripts.trim().replaceAll("__VITE_PRELOAD__", "void 0");
      const code = whole.replaceAll("</script", "<\\/script").replaceAll("<!--", "\\x3C!--");
      text = insert(text, "</body>", `${packedPlotly()}\n<script type="module">${code}</script>\n`);
      const licences = readFileSync(new URL("licences.txt", import.meta.url), "utf8").replaceAll("--", "- -");
      text = text.replace("<html", () => `<!--\n${licences}-->\n<html`);
      if (text.split(MARKER).length !== 2) this.error(`expected the marker ${MARKER} once in ${page}`);
      html.source = text;
    },
  };
}

/** In development: the example's data in place of the marker. */
export function exampleData(path) {
  return {
    name: "example-data",
    transformIndexHtml: (html) => (path ? html.replace(MARKER, () => dataElement(readFileSync(path, "utf8"))) : html),
  };
}

/** The element that holds a report's JSON. */
export function dataElement(json) {
  return `<script type="application/json" id="aberra-report">${json.replaceAll("<", "\\u003c")}</script>`;
}

function packedPlotly() {
  const code = readFileSync(require.resolve("plotly.js-gl3d-dist-min"));
  const packed = Buffer.from(gzipSync(code, { level: 9, mtime: 0 })).toString("base64");
  return `<script type="application/gzip" id="packed-plotly">${packed}</script>`;
}

function insert(text, before, what) {
  const at = text.lastIndexOf(before);
  return text.slice(0, at) + what + text.slice(at);
}
