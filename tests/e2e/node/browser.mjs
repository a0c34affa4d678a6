// A person at a browser: node browser.mjs URL [deny] [user code]. Logs in, consents (or refuses), and prints where it ended
// as {"url","text"}.
import { chromium } from "playwright-core";

const [url, manner = "allow"] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
try {
  const page = await browser.newPage();
  await page.goto(url);
  for (let step = 0; step < 8; step++) {
    if (manner === "deny" && (await page.getByRole("link", { name: "Cancel" }).count())) {
      await page.getByRole("link", { name: "Cancel" }).click();
      break;
    }
    const login = page.locator("input[name=login]");
    if (await login.count()) {
      await login.fill("alice");
      await page.locator("input[name=password]").fill("any");
    }
    const submit = page.locator("button[type=submit]");
    if (!(await submit.count())) break;
    await Promise.all([page.waitForLoadState("load"), submit.first().click()]);
    await page.waitForLoadState("load");
  }
  await page.waitForLoadState("load");
  console.log(JSON.stringify({ url: page.url(), text: await page.locator("body").innerText() }));
} finally {
  await browser.close();
}
