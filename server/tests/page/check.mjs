// The person's page in a browser, at the size of a phone and of a desktop. Started by the test
// `browser`, which runs the server and says in PLAN whose pages there are; PACKAGES is where
// playwright-core and axe are installed, CHROMIUM the browser. SHOTS is a folder for screenshots, ASSETS
// one whose style and script are tried instead of the server's: looks change without a build.
import { createRequire } from "node:module";
import { join } from "node:path";

const need = createRequire(join(process.env.PACKAGES, "package.json"));
const { chromium } = need("playwright-core");
const { AxeBuilder } = need("@axe-core/playwright");
const plan = JSON.parse(process.env.PLAN);
const shots = process.env.SHOTS;

const SIZES = {
  phone: { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true },
  desktop: { viewport: { width: 1280, height: 900 } },
};
const RULES = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"];
/** Enough for a slow machine; nothing here takes a second on an idle one, milliseconds. */
const PATIENCE = 15_000;
/** Bytes of a first visit, uncompressed: two seconds on 256 kbit/s. */
const MOST_BYTES = 64_000;
/** WCAG 2.2 asks for 24; fingers want more. CSS pixels. */
const LEAST_TARGET = 44;

let passed = 0;
/** Told once more at the end, where they are seen. */
const failed = [];
function check(what, holds, detail = "") {
  if (holds) passed += 1;
  else failed.push(`FAIL ${what}: ${detail}`);
  console.log(holds ? `ok   ${what}` : failed.at(-1));
}

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });

async function open(size, path, options = {}) {
  const context = await browser.newContext({
    ...SIZES[size], baseURL: plan.url, reducedMotion: "reduce", locale: "en-GB", timezoneId: "Europe/Berlin", ...options,
  });
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  page.faults = [];
  page.on("pageerror", (error) => page.faults.push(error.message));
  page.on("console", (line) => {
    // A refusal is a 409 or 422 with a page: the browser mentions it, and it is no fault.
    if (line.type() === "error" && !/status of (404|409|410|422)/.test(line.text())) page.faults.push(line.text());
  });
  page.touch = (target) => (SIZES[size].hasTouch ? target.tap() : target.click());
  if (options.deaf) await page.route("**/stream", (route) => route.abort());
  if (process.env.ASSETS) await page.route("**/assets/me.*", (route) => route.fulfill({ path: join(process.env.ASSETS, new URL(route.request().url()).pathname.slice(8)) }));
  await page.goto(path);
  return page;
}

async function shown(what, locator, { state = "visible", patience = PATIENCE } = {}) {
  const fault = await locator.waitFor({ state, timeout: patience }).then(() => null, (error) => error.message);
  check(what, fault === null, fault);
}

async function sound(what, page) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  check(`${what}: no sideways scrolling`, wide <= 0, `${wide} px`);
  const found = await new AxeBuilder({ page }).withTags(RULES).analyze();
  const faults = found.violations.map((one) => `${one.id} (${one.impact}): ${one.nodes.map((node) => node.target.join(" ")).join(", ")}`);
  check(`${what}: axe finds nothing`, faults.length === 0, faults.join("; "));
  const small = await page.evaluate((least) => {
    const targets = [...document.querySelectorAll("button, summary, a:not(.skip), label.choice, input:not([type=hidden], [type=radio], [type=checkbox])")];
    const seen = targets.filter((one) => one.checkVisibility());
    return seen.filter((one) => one.getBoundingClientRect().height < least - 0.5).map((one) => one.outerHTML.slice(0, 80));
  }, LEAST_TARGET);
  check(`${what}: targets of ${LEAST_TARGET} px`, small.length === 0, small.join("; "));
}

const card = (page, title) => page.locator("article", { has: page.getByRole("heading", { name: title }) });
/** Words of the page; what is spoken stands in it once more. */
const told = (page, text) => page.locator("main").getByText(text);
const button = (page, title, name) => card(page, title).getByRole("button", { name });

async function fourAnswers(size, whose) {
  const page = await open(size, "about:blank");
  const bodies = [];
  const keep = (answer) => answer.url().includes("/stream") || bodies.push(answer.body());
  page.on("response", keep);
  await page.goto(whose.home, { waitUntil: "load" });
  page.off("response", keep);
  await shown(`${size}: what waits is there`, card(page, "Coffee"));
  const bytes = (await Promise.all(bodies)).reduce((sum, body) => sum + body.length, 0);
  check(`${size}: a first visit has at most ${MOST_BYTES} bytes`, bodies.length >= 3 && bytes <= MOST_BYTES, `${bytes}`);
  console.log(`     ${size}: a first visit has ${bytes} bytes`);
  await sound(`${size}, page`, page);
  if (shots) await page.screenshot({ path: join(shots, `${size}.png`) });
  if (shots) await page.screenshot({ path: join(shots, `${size}-full.png`), fullPage: true });

  await page.touch(button(page, "Coffee", /Order it/));
  await shown(`${size}: approved`, card(page, "Coffee").getByText("Thank you. It is ordered"));
  // The stream may show the order before its answer is there.
  await shown(`${size}: the answer is spoken`, page.locator("#say").getByText("Thank you"), { state: "attached" });
  await shown(`${size}: the focus is on the answered order`, page.locator("[id^=o-]:focus"));
  await shown(`${size}: it can be taken back`, button(page, "Coffee", "Take it back"));

  await page.touch(button(page, "Tea", "No, thank you"));
  const cancelled = card(page, "Tea").getByText("Cancelled. Nothing is bought.");
  await shown(`${size}: cancelled`, cancelled);
  // As the stream does it when another order has changed.
  await page.evaluate(() => { document.getElementById("orders").dataset.state = ""; return refresh(); });
  check(`${size}: what came of it stays when the page is shown anew`, await cancelled.isVisible());
  check(`${size}: and so does the focus`, await card(page, "Tea").evaluate((one) => one === document.activeElement));

  await page.touch(button(page, "Milk", "In a week"));
  await shown(`${size}: put off`, card(page, "Milk").getByText("We will ask again."));

  await page.touch(card(page, "Soap").locator("summary"));
  await card(page, "Soap").getByLabel("How many").fill("5");
  await sound(`${size}, changing`, page);
  await page.touch(button(page, "Soap", "Ask for this instead"));
  await shown(`${size}: changed`, page.getByRole("heading", { name: "5 × Soap" }));
  if (shots) await page.screenshot({ path: join(shots, `${size}-answered.png`), fullPage: true });
  await sound(`${size}, answered`, page);

  for (const summary of await page.locator(".settings > details > summary").all()) await page.touch(summary);
  await sound(`${size}, settings`, page);
  if (shots) await page.locator(".settings").screenshot({ path: join(shots, `${size}-settings.png`) });
  await page.getByLabel("A month, EUR").fill("nonsense");
  await page.touch(page.locator("#limits").getByRole("button", { name: "Save" }));
  await shown(`${size}: a wrong amount is named`, told(page, "An amount is a number"));
  await page.getByLabel("A month, EUR").fill("150");
  await page.touch(page.locator("#limits").getByRole("button", { name: "Save" }));
  await shown(`${size}: a limit is kept`, page.locator("#limits summary").getByText(/150.00 EUR a month/));
  await page.touch(page.locator("#language summary"));
  await page.getByLabel("Deutsch").check();
  await page.touch(page.locator("#language").getByRole("button", { name: "Save" }));
  await shown(`${size}: the language is changed`, page.getByRole("heading", { name: "Ihre Bestellungen" }));
  check(`${size}: the page says its language`, (await page.locator("html").getAttribute("lang")) === "de");
  if (shots) await page.screenshot({ path: join(shots, `${size}-german.png`), fullPage: true });
  await sound(`${size}, German`, page);
  check(`${size}: no script errors`, page.faults.length === 0, page.faults.join("; "));
  await page.context().close();
}

async function doubleTap(size, whose) {
  const page = await open(size, whose.double);
  let sent = 0;
  page.on("request", (request) => (sent += request.method() === "POST" ? 1 : 0));
  await page.evaluate(() => {
    const yes = document.querySelector("article button.primary");
    yes.click();
    yes.click();
  });
  await shown(`${size}: a double tap is approved`, told(page, "Thank you. It is ordered"));
  check(`${size}: a double tap is sent once`, sent === 1, `${sent}`);
  await page.context().close();
  // Without scripts the second tap is the first form once more.
  const plain = await open(size, whose.plain, { javaScriptEnabled: false });
  const fields = await plain.locator("article form.yes input").evaluateAll((all) => all.map((one) => [one.name, one.value]));
  const action = await plain.locator("article form.yes").getAttribute("action");
  await plain.touch(plain.getByRole("button", { name: /Order it/ }));
  await shown(`${size}: approved without scripts`, told(plain, "Thank you. It is ordered"));
  const again = await plain.request.post(action, { form: Object.fromEntries(fields) });
  check(`${size}: the second tap gets the same answer`, (await again.text()).includes("Thank you. It is ordered"));
  await plain.context().close();
}

async function twoDevices(size, whose) {
  const one = await open(size, whose.shared);
  const other = await open(size, whose.shared, { deaf: true });
  const third = await open(size, whose.shared);
  await one.touch(one.getByRole("button", { name: /Order it/ }));
  await shown(`${size}: the first device is heard`, told(one, "Thank you. It is ordered"));
  await shown(`${size}: another that listens sees it`, third.getByRole("button", { name: "Take it back" }));
  await other.touch(other.getByRole("button", { name: /Order it/ }));
  await shown(`${size}: one that does not is told`, told(other, /already answered on .* on this page/));
  await shown(`${size}: and sees the order as it is`, other.getByRole("button", { name: "Take it back" }));
  for (const page of [one, third]) check(`${size}: no script errors on two devices`, page.faults.length === 0, page.faults.join("; "));
  await Promise.all([one, other, third].map((page) => page.context().close()));
}

async function newcomer(size, whose) {
  const page = await open(size, whose.newcomer, { locale: "de-DE" });
  await shown(`${size}: a newcomer is invited in their language`, page.getByRole("heading", { name: /Sollen wir fragen/ }));
  await sound(`${size}, newcomer`, page);
  if (shots) await page.screenshot({ path: join(shots, `${size}-newcomer.png`), fullPage: true });
  await page.touch(page.locator(".invite").getByRole("button", { name: "Ja, fragen Sie mich" }));
  await shown(`${size}: they agree`, page.locator("#asked summary").getByText(/Sie stimmten am/));
  await shown(`${size}: their zone is known`, page.locator("#language summary").getByText("Europe/Berlin"));
  await page.touch(page.locator("#data summary"));
  await page.touch(page.getByRole("link", { name: /Mich vergessen/ }));
  await shown(`${size}: they are asked whether they are sure`, page.getByRole("heading", { name: "Mich vergessen?" }));
  await sound(`${size}, forgetting`, page);
  if (shots) await page.screenshot({ path: join(shots, `${size}-forget.png`) });
  await page.getByLabel(/alles über mich löschen/).check();
  await page.touch(page.getByRole("button", { name: "Mich vergessen" }));
  await shown(`${size}: they are forgotten`, page.getByRole("heading", { name: "Sie sind vergessen" }));
  await page.context().close();
}

async function links(size, whose) {
  const page = await open(size, whose.link);
  await shown(`${size}: a link shows what it would do`, page.getByRole("button", { name: /Order it/ }));
  await sound(`${size}, link`, page);
  if (shots) await page.screenshot({ path: join(shots, `${size}-link.png`) });
  await page.touch(page.getByRole("button", { name: /Order it/ }));
  await shown(`${size}: its button does it`, told(page, "Thank you. It is ordered"));
  await page.goto(whose.expired);
  await shown(`${size}: an old link says what to do`, told(page, /Look in the app or in a newer message/));
  await sound(`${size}, old link`, page);
  await page.context().close();
}

async function keyboard(whose) {
  const page = await open("desktop", whose.keyboard);
  const seen = [];
  for (let step = 0; step < 6; step += 1) {
    await page.keyboard.press("Tab");
    seen.push(await page.evaluate(() => document.activeElement.textContent.trim()));
  }
  const order = ["Skip to your orders", "Settings", "Order it", "In a week", "No, thank you", "Change how much"];
  check("keyboard: the focus goes from top to bottom", order.every((text, at) => seen[at].startsWith(text)), seen.join(" | "));
  await page.keyboard.press("Shift+Tab");
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineWidth);
  check("keyboard: the focus is seen", parseFloat(outline) >= 2, outline);
  await page.keyboard.press("Enter");
  await shown("keyboard: enter answers", told(page, "Cancelled. Nothing is bought."));
  await page.context().close();
}

/** Pages over orders that are about to expire: opened before, looked at after everything else. */
async function open_late(size, whose) {
  return { listening: await open(size, whose.late), deaf: await open(size, whose.late, { deaf: true }) };
}

async function expiry(size, { listening, deaf }) {
  // On a fast machine everything else is done long before that.
  const runsOut = told(listening, "No answer in time, nothing bought");
  await shown(`${size}: a page that listens sees the time run out`, runsOut, { patience: plan.soon_ms + PATIENCE });
  await deaf.touch(deaf.getByRole("button", { name: /Order it/ }));
  await shown(`${size}: who taps too late is told`, told(deaf, /The time was over, and nothing was bought/).first());
  await sound(`${size}, too late`, deaf);
  check(`${size}: no script errors at the end`, listening.faults.length === 0, listening.faults.join("; "));
  await Promise.all([listening, deaf].map((page) => page.context().close()));
}

const late = {};
for (const size of Object.keys(SIZES)) late[size] = await open_late(size, plan.people[size]);
for (const size of Object.keys(SIZES)) {
  const whose = plan.people[size];
  await fourAnswers(size, whose);
  await doubleTap(size, whose);
  await twoDevices(size, whose);
  await newcomer(size, whose);
  await links(size, whose);
}
await keyboard(plan.people.desktop);
const dark = await open("phone", plan.people.phone.home, { colorScheme: "dark" });
await sound("dark", dark);
if (shots) await dark.screenshot({ path: join(shots, "dark.png") });
await dark.context().close();
for (const size of Object.keys(SIZES)) await expiry(size, late[size]);

await browser.close();
console.log([...failed, `page: ${passed} passed, ${failed.length} failed`].join("\n"));
process.exit(failed.length ? 1 : 0);
