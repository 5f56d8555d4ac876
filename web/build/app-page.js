// Makes the built app what the server embeds: its page is called index.html, and the licences of what it contains are
// said in it.
import { readFileSync } from "node:fs";

/** A Vite plugin that calls the built page index.html. */
export function namedIndex(page) {
  return {
    name: "named-index",
    enforce: "post",
    generateBundle(_options, bundle) {
      bundle[page].fileName = "index.html";
    },
  };
}

/** A Vite plugin that writes the licences into the page. */
export function licences() {
  return {
    name: "licences",
    transformIndexHtml: {
      order: "post",
      handler: (html) => {
        const text = readFileSync(new URL("licences.txt", import.meta.url), "utf8").replaceAll("--", "- -");
        return html.replace("<html", () => `<!--\n${text}-->\n<html`);
      },
    },
  };
}
