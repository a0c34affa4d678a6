import { render } from "preact";
import { ask } from "./api";
import { App } from "./app";
import { startRouting } from "./route";
import { enter } from "./session";
import "./style.css";

startRouting();
render(<App />, document.getElementById("root")!);
void enter(async (code) => (await ask<{ token: string }>("POST", "/v1/person/tokens", { code })).token);
