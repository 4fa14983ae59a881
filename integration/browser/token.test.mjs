// SPDX-License-Identifier: Apache-2.0

// snippet.ts, the page's advice to frontends, in a real Chromium: it hands
// the SDK a token and renews it. browser_test.go runs it and sets:
//
//	APP_URL        origin of the app, with tokens at /mdh-token
//	PEOPLE         [{"cookie": "name=value", "id": "GUID", "identifier": "…"}, …]: the first one is used
//	SIMULATOR_URL  origin of the simulated platform, nobody's token minted yet
//	PROTOCOL       what the browser is to speak with the app: HTTP/1.1 (default), HTTP/2.0 or h3, as Playwright has it
//	CERTIFICATE    with https: base64 of the SHA-256 of its public key, which the browser is to trust
//	CHROMIUM       the browser; default /usr/bin/chromium

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, afterEach, test } from "node:test";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

const { APP_URL, SIMULATOR_URL, PROTOCOL = "HTTP/1.1", CERTIFICATE, CHROMIUM = "/usr/bin/chromium" } = process.env;
const [person] = JSON.parse(process.env.PEOPLE);
const tokenURL = APP_URL + "/mdh-token";
const sdkLead = 120_000; // ms before the expiry at which the SDK asks for a new token
const lifetime = 155; // s: long enough not to be paced, short enough to be minted anew every time

const html = `<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>starting</title>
<script type="module">
	import { authorize } from "/snippet.js";
	authorize().then(() => { document.title = "signed in"; }, (e) => { document.title = e.message; });
</script>`;

let files, browser, context, page;
let asked; // requests for a token

// compile checks the snippet against the SDK's types and takes them off.
async function compile() {
  const here = fileURLToPath(new URL(".", import.meta.url));
  const out = await mkdtemp(join(tmpdir(), "snippet-"));
  try {
    execFileSync(process.execPath, [join(here, "node_modules/typescript/bin/tsc"), "-p", here, "--outDir", out], { stdio: ["ignore", "inherit", "inherit"] });
    return await readFile(join(out, "snippet.js"), "utf8");
  } finally {
    await rm(out, { recursive: true });
  }
}

async function simulator(method, path, body) {
  const answer = await fetch(`${SIMULATOR_URL}/_simulator/${path}`, { method, body: body && JSON.stringify(body) });
  assert.ok(answer.ok, `${method} ${path}: ${answer.status}`);
  return answer.json();
}

before(async () => {
  await simulator("PATCH", "settings", { participantTokenLifetime: lifetime });
  files = {
    "/browser-test": { contentType: "text/html", body: html },
    // A bundler would find the SDK by its name; a browser needs a path.
    "/snippet.js": { contentType: "text/javascript", body: (await compile()).replace("@careevolution/mydatahelps-js", "/sdk.js") },
    "/sdk.js": { contentType: "text/javascript", body: await readFile(fileURLToPath(import.meta.resolve("@careevolution/mydatahelps-js")), "utf8") },
  };
  const args = ["--no-sandbox", "--disable-dev-shm-usage"];
  if (CERTIFICATE) args.push("--ignore-certificate-errors-spki-list=" + CERTIFICATE);
  if (PROTOCOL === "h3") args.push("--origin-to-force-quic-on=" + new URL(APP_URL).host, "--host-resolver-rules=MAP localhost 127.0.0.1");
  browser = await chromium.launch({ executablePath: CHROMIUM, args });
});

after(() => browser?.close());

beforeEach(async () => {
  // Chromium guards machines of the local network from pages of the internet.
  // The simulator is on this machine; the platform is not.
  context = await browser.newContext({ permissions: ["local-network-access"] });
  const [name, value] = person.cookie.split("=");
  await context.addCookies([{ name, value, url: APP_URL, httpOnly: true, sameSite: "Lax" }]);
  page = await context.newPage();
  for (const [path, file] of Object.entries(files)) {
    await page.route(APP_URL + path, (route) => route.fulfill(file));
  }
  asked = [];
  page.on("request", (request) => { if (request.url() === tokenURL) asked.push(request); });
});

afterEach(() => context.close());

async function open() {
  await page.goto(APP_URL + "/browser-test");
  await page.waitForFunction(() => document.title !== "starting");
  return page.title();
}

// How long until the SDK asks for the next token, by the page's clock.
const untilRenewal = () => page.evaluate((lead) => MyDataHelps.tokenExpires - lead - Date.now(), sdkLead);

// Waits until the SDK holds another expiry than the one given.
const renewed = (expires, timeout) => page.waitForFunction((old) => MyDataHelps.tokenExpires !== old, expires, { timeout });
const expiry = () => page.evaluate(() => MyDataHelps.tokenExpires);
const token = () => page.evaluate(() => MyDataHelps.token.access_token);

async function readsOwnData() {
  const info = await page.evaluate(() => MyDataHelps.getParticipantInfo());
  assert.deepEqual([info.participantID, info.participantIdentifier], [person.id, person.identifier]);
}

// In real time, because only then does the server mint. Renewing too late
// leaves the SDK without a token, too early is a storm of requests.
test("the SDK gets a new token each time its token is about to end", { timeout: 150_000 }, async () => {
  const start = await simulator("GET", "counts");
  assert.equal(await open(), "signed in");
  const tokens = [await token()];
  for (let renewals = 1; renewals <= 2; renewals++) {
    const wait = await untilRenewal();
    assert.ok(wait > 10_000, `the SDK asks again after ${wait} ms`);
    await renewed(await expiry(), wait + 15_000);
    tokens.push(await token());
    await readsOwnData();
    assert.equal(asked.length, 1 + renewals);
  }
  assert.equal(new Set(tokens).size, 3, "a token was handed out twice");
  const end = await simulator("GET", "counts");
  assert.equal(end.participantTokens - start.participantTokens, 3);
  assert.equal(end.serviceTokens - start.serviceTokens, 1);
  for (const request of asked) {
    const answer = await request.response();
    assert.equal(answer.status(), 200);
    assert.equal(await answer.headerValue("cache-control"), "no-store");
  }
});

// The server sees renewals that come at once, each with most of the token's
// life left: it must neither mint for each nor give so little that the SDK
// comes back immediately.
test("many renewals ask once each and mint nothing", async () => {
  await page.clock.install();
  assert.equal(await open(), "signed in");
  const { participantTokens } = await simulator("GET", "counts");
  for (let renewals = 1; renewals <= 8; renewals++) {
    const before = await expiry();
    await page.clock.fastForward(await untilRenewal() - 2000);
    assert.equal(asked.length, renewals, "asked before it was time");
    await page.clock.fastForward(3000);
    await renewed(before);
    await readsOwnData();
  }
  assert.equal(asked.length, 9);
  for (const request of asked) {
    assert.equal(await (await request.response()).httpVersion(), PROTOCOL); // it falls back without a word
  }
  assert.ok((await simulator("GET", "counts")).participantTokens - participantTokens <= 1);
});

// A train through a tunnel, a proxy that restarts: the SDK announces the end
// of its token only once, so the page has to keep trying by itself.
test("a renewal that fails is tried again when the answer says", async () => {
  await page.clock.install();
  assert.equal(await open(), "signed in");
  const before = await expiry();
  const answers = [(route) => route.abort("internetdisconnected"), (route) => route.fulfill({ status: 503, headers: { "Retry-After": "20" } })];
  await page.route(tokenURL, (route) => (answers.length ? answers.shift()(route) : route.continue()));
  const done = page.waitForEvent("requestfailed");
  await page.clock.fastForward(await untilRenewal() + 1000);
  await done;
  const busy = page.waitForResponse(tokenURL);
  await page.clock.runFor(6000);
  assert.equal((await busy).status(), 503);
  const good = page.waitForResponse(tokenURL);
  await page.clock.runFor(15_000);
  assert.equal(asked.length, 3, "did not wait as long as asked to");
  await page.clock.runFor(6000);
  assert.equal((await good).status(), 200);
  await renewed(before);
  await readsOwnData();
});

// Somebody who has signed out in another tab gets no more tokens, and their
// page does not go on asking.
test("without a session there is no token", async () => {
  await page.clock.install();
  assert.equal(await open(), "signed in");
  const wait = await untilRenewal();
  await context.clearCookies();
  const reloaded = page.waitForEvent("domcontentloaded");
  await page.clock.fastForward(wait + 1000);
  await reloaded;
  await page.waitForFunction(() => document.title === "refused: 401 session_required");
  await page.clock.runFor(600_000);
  assert.deepEqual(await Promise.all(asked.map(async (r) => (await r.response()).status())), [200, 401, 401]);
});

// An auth server that redirects whoever is not signed in to its login page: a
// fetch that follows it fails as if it were offline.
for (const [name, status] of [["302", 302], ["303", 303], ["307", 307]]) {
  test(`a login page in front of the route ends it at once: ${name}`, async () => {
    await page.route(tokenURL, (route) => route.fulfill({ status, headers: { Location: "https://login.example.org/" } }));
    assert.equal(await open(), "refused: 401 session_required");
    assert.equal(asked.length, 1);
  });
}

// Whoever waits for a page has to be told some time.
test("a network that stays away ends it after four tries", async () => {
  await page.clock.install();
  await page.route(tokenURL, (route) => route.abort("internetdisconnected"));
  await page.goto(APP_URL + "/browser-test");
  while (await page.title() === "starting") { await page.waitForTimeout(20); await page.clock.runFor(1000); }
  assert.equal(await page.title(), "refused: 0");
  await page.clock.runFor(600_000);
  assert.equal(asked.length, 4);
});

// A page that is open while the network is away for long goes on, and asks no
// more than once in a while.
test("a renewal that keeps failing is tried again every minute", async () => {
  await page.clock.install();
  assert.equal(await open(), "signed in");
  const before = await expiry();
  await page.route(tokenURL, (route) => route.abort("internetdisconnected"));
  await page.clock.fastForward(await untilRenewal() + 1000);
  while (asked.length < 5) { await page.waitForTimeout(20); await page.clock.runFor(1000); } // the first one, and four tries
  await page.unroute(tokenURL);
  while (asked.length <= 5) { await page.waitForTimeout(20); await page.clock.runFor(5000); }
  await renewed(before);
  await readsOwnData();
});
