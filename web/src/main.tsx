import { render } from "preact";
import { ask } from "./api";
import { App } from "./app";
import { startRouting } from "./route";
import type { PersonToken } from "./session";
import "./style.css";
import { enter } from "./tabs";

startRouting();
render(<App />, document.getElementById("root")!);
void enter((code) => ask<PersonToken>("POST", "/v1/person/tokens", { code }));
