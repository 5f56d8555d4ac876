// The report's entry: reads its data from the page and shows it.
import { mount } from "svelte";
import "../design/tokens.css";
import "../design/base.css";
import App from "./App.svelte";
import { readReport } from "./read";

const target = document.getElementById("app")!;

try {
  const report = await readReport(document);
  target.replaceChildren();
  mount(App, { target, props: { report } });
} catch (error) {
  const message = document.createElement("p");
  message.className = "opening";
  message.setAttribute("role", "alert");
  message.textContent = error instanceof Error ? error.message : String(error);
  target.replaceChildren(message);
}
