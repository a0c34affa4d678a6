// A person at the daemon's page: node page.mjs, then one command a line on standard input, {"do":NAME, …}, each answered by
// a line {"value":…} or {"error":TEXT}. A tab is a name; tabs of one person share what tabs of one browser share.
import { createRequire } from "node:module";
import fs from "node:fs";
import readline from "node:readline";
import { chromium } from "playwright-core";

const axe = fs.readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const TIMEOUT = Number(process.env.PAGE_TIMEOUT_MS ?? 15000);
const persons = new Map();
const tabs = new Map();
const seen = { requests: [], troubles: [], sent: [] };

async function person(name, { width = 1100, height = 800, dark = false } = {}) {
  if (!persons.has(name)) {
    const context = await browser.newContext({ viewport: { width, height }, colorScheme: dark ? "dark" : "light", timezoneId: "UTC", locale: "en" });
    context.setDefaultTimeout(TIMEOUT);
    context.on("request", (request) => {
      seen.requests.push(request.url());
      if (request.method() !== "GET") seen.sent.push([request.url(), request.postData() ?? ""]);
    });
    persons.set(name, context);
  }
  return persons.get(name);
}

function watched(page) {
  page.on("pageerror", (error) => seen.troubles.push("error: " + error.message));
  page.on("dialog", (dialog) => {
    seen.troubles.push("dialog: " + dialog.message());
    void dialog.dismiss();
  });
  page.on("console", (message) => {
    // A refusal of the daemon's is shown by the page itself, and by the browser once more.
    if (message.type() === "error" && !/^Failed to load resource/.test(message.text())) seen.troubles.push("console: " + message.text());
  });
  return page;
}

const at = ({ tab = "one" }) => tabs.get(tab);
// `in` narrows to the first card (article) with this text.
// `of` to what a selector finds.
const scope = (command) => {
  if (command.of !== undefined) return at(command).locator(command.of);
  return command.in === undefined ? at(command) : at(command).getByRole("article").filter({ hasText: command.in }).first();
};
const named = (command) => scope(command).getByRole(command.role ?? "button", { name: command.name, exact: command.exact ?? true }).first();

const commands = {
  async open({ tab = "one", url, who = "person", ...how }) {
    const context = await person(who, how);
    if (!tabs.has(tab)) tabs.set(tab, watched(await context.newPage()));
    const answer = await tabs.get(tab).goto(url);
    return answer === null ? null : { status: answer.status(), headers: answer.headers() };
  },
  async close({ tab = "one" }) {
    await tabs.get(tab)?.close();
    tabs.delete(tab);
  },
  /** The API as the test says it: [[method, path as a regular expression, status, body, content type]] */
  async stub({ who = "person", answers, ...how }) {
    const context = await person(who, how);
    const rows = answers.map(([method, path, ...rest]) => [method, new RegExp("^" + path + "$"), ...rest]);
    await context.route("**/v1/**", async (route) => {
      const request = route.request();
      const { pathname } = new URL(request.url());
      const row = rows.find(([method, path]) => method === request.method() && path.test(pathname));
      if (row === undefined) return route.continue();
      const [, , status, body, contentType = "application/json"] = row;
      return route.fulfill({ status, contentType, body: typeof body === "string" ? body : body === null ? "" : JSON.stringify(body) });
    });
  },
  async text(command) {
    return scope(command.in ? command : { of: "body", ...command }).innerText();
  },
  async wait({ text, ...command }) {
    await scope(command).getByText(text).first().waitFor();
  },
  async gone({ text, ...command }) {
    await scope(command).getByText(text).first().waitFor({ state: "hidden" });
  },
  async click(command) {
    await named(command).click();
  },
  async fill({ label, value, ...command }) {
    await scope(command).getByLabel(label, { exact: command.exact ?? false }).first().fill(value);
  },
  async attach({ label, path, ...command }) {
    await scope(command).getByLabel(label).first().setInputFiles(path);
  },
  async check({ label, ...command }) {
    await scope(command).getByLabel(label).check();
  },
  async open_all(command) {
    await at(command).locator(command.of).evaluateAll((all) => all.forEach((one) => (one.open = true)));
  },
  async press({ key, ...command }) {
    await at(command).keyboard.press(key);
  },
  async go({ name, ...command }) {
    await at(command).getByRole("navigation", { name: "Views" }).getByRole("link", { name, exact: false }).click();
    await at(command).getByRole("heading", { level: 1 }).waitFor();
  },
  /** Until nothing says that it is loading. */
  async settle(command) {
    const end = Date.now() + TIMEOUT;
    while (/(Loading|Signing in) …/.test(await at(command).locator("body").innerText())) {
      if (Date.now() > end) throw new Error("it goes on loading");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  },
  /** A person at the tests' authorization server, until it sends the browser back */
  async consent({ until, ...command }) {
    const page = at(command);
    for (let step = 0; step < 8 && !page.url().startsWith(until); step++) {
      const login = page.locator("input[name=login]");
      if (await login.count()) {
        await login.fill("alice");
        await page.locator("input[name=password]").fill("any");
      }
      await Promise.all([page.waitForEvent("framenavigated"), page.locator("button[type=submit]").first().click()]);
      await page.waitForLoadState("load");
    }
  },
  /** As in a browser that has not learned it yet */
  async without_x25519({ who = "person" }) {
    await (await person(who)).addInitScript(() => {
      const real = crypto.subtle.generateKey.bind(crypto.subtle);
      crypto.subtle.generateKey = (how, ...rest) => (how.name === "X25519" ? Promise.reject(new DOMException("no", "NotSupportedError")) : real(how, ...rest));
    });
  },
  async url(command) {
    return at(command).url();
  },
  async wait_url({ pattern, ...command }) {
    await at(command).waitForURL(new RegExp(pattern));
  },
  async count({ of, ...command }) {
    return at(command).locator(of).count();
  },
  async run({ script, ...command }) {
    return at(command).evaluate(script);
  },
  async reload(command) {
    await at(command).reload();
  },
  /** What axe-core calls serious or worse */
  async axe(command) {
    await at(command).evaluate(axe);
    const found = await at(command).evaluate("axe.run(document, {resultTypes: ['violations']})");
    return found.violations
      .filter(({ impact }) => impact === "serious" || impact === "critical")
      .map(({ id, help, nodes }) => ({ id, help, nodes: nodes.map((node) => node.html.slice(0, 300) + " " + node.failureSummary) }));
  },
  /** How much wider than the window the page is */
  async overflow(command) {
    return at(command).evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth");
  },
  /** A picture as wide as a reader wants it, with another home in the place of the test's */
  async shot({ path, home, ...command }) {
    const page = at(command);
    const before = page.viewportSize();
    await page.setViewportSize({ width: 860, height: 420 });
    await page.evaluate((root) => {
      const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
      while (walker.nextNode()) walker.currentNode.data = walker.currentNode.data.replaceAll(root, "/home/ada");
    }, home);
    await page.screenshot({ path, fullPage: true, animations: "disabled" });
    await page.setViewportSize(before);
  },
  /** Everything that any tab asked for, and what went wrong in one */
  async seen() {
    return seen;
  },
};

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { do: name, ...command } = JSON.parse(line);
  try {
    console.log(JSON.stringify({ value: (await commands[name](command)) ?? null }));
  } catch (error) {
    const shown = await at(command)?.locator("body").innerText({ timeout: 1000 }).catch(() => "");
    console.log(JSON.stringify({ error: error.message + "\n--- the page:\n" + shown }));
  }
}
await browser.close();
