// The web app's entry.
import { mount } from "svelte";
import "../design/tokens.css";
import "../design/base.css";
import App from "./App.svelte";

const target = document.getElementById("app")!;
target.replaceChildren();
mount(App, { target });
