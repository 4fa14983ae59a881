// SPDX-License-Identifier: Apache-2.0

// What the platform answers, as a real browser takes it. fault_answers_test.go
// runs it and sets:
//
//	PROXY     origin of the app and the proxy at /mdh/
//	TRUSTED   an origin of the same site whose pages are trusted
//	STRANGER  an origin of another site
//	PROBES    tells the paths below /probe/ that the app was asked for, and forgets them
//	PEOPLE    [{"cookie": "name=value"}, …]: the first one is signed in

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { chromium } from "playwright-core";

const { PROXY, TRUSTED, STRANGER, PROBES, CHROMIUM = "/usr/bin/chromium" } = process.env;
const [person] = JSON.parse(process.env.PEOPLE);
const open = (name) => `${PROXY}/mdh/api/v1/public/projects/1/views/${name}`; // a public route
const logo = (name) => `${PROXY}/mdh/api/v1/delegated/externalaccountproviders/${name}/logo`; // another one
const own = (name) => `${PROXY}/mdh/api/v1/delegated/custom/${name}`; // needs the session

let browser, context, page;

before(async () => {
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
});
after(() => browser?.close());

beforeEach(async () => {
  context = await browser.newContext({ permissions: ["local-network-access"], acceptDownloads: true });
  const [name, value] = person.cookie.split("=");
  await context.addCookies([{ name, value, url: PROXY, httpOnly: true, sameSite: "Lax" }]);
  for (const origin of [TRUSTED, STRANGER]) {
    await context.route(origin + "/**", (route) => route.fulfill({ contentType: "text/html", body: "<!DOCTYPE html><title>page</title>" }));
  }
  page = await context.newPage();
  await probes();
});
afterEach(() => context.close());

const probes = async () => (await fetch(PROBES)).json();

// shows tells how an element of a page got on with an address: "loaded" or "failed".
const shows = (kind, url, attributes = {}) => page.evaluate(([kind, url, attributes]) => new Promise((done) => {
  const e = document.createElement(kind);
  for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
  e.onload = e.onloadedmetadata = () => done("loaded");
  e.onerror = () => done("failed");
  e.src = url;
  document.body.append(e);
}), [kind, url, attributes]);

// reads is what a script of the page gets: status and text, or that it gets none.
const reads = (url, init) => page.evaluate(([url, init]) => fetch(url, init).then(
  async (r) => ({ status: r.status, text: await r.text(), remaining: r.headers.get("RateLimit-Remaining"), details: r.headers.get("Proxy-Status") }),
  () => "nothing"), [url, init]);

const credentials = { credentials: "include" };

for (const [what, at] of [["a route of the user's", own], ["a public route", open], ["a logo", logo]]) {
  for (const name of ["page", "xhtml", "xml", "drawn", "404", "500"]) {
    test(`A7: ${name} of ${what}, opened as a page, does nothing`, async () => {
      await page.goto(at(name), { waitUntil: "load" });
      assert.notEqual(await page.title(), "acted");
      assert.equal(await page.evaluate(() => self.origin), "null");
      // In a frame of the app's own page it does no more.
      await page.goto(PROXY + "/page");
      await page.evaluate((url) => new Promise((done) => {
        const frame = document.createElement("iframe");
        frame.onload = done;
        frame.src = url;
        document.body.append(frame);
      }), at(name));
      assert.equal(await page.title(), "the app");
      assert.deepEqual(await probes(), []);
    });
  }
}

test("A7: images, sound and calls of the app's own page work", async () => {
  await page.goto(PROXY + "/page");
  for (const at of [own, open, logo]) {
    assert.equal(await shows("img", at("png")), "loaded");
    assert.equal(await shows("img", at("drawn")), "loaded");
    assert.equal(await shows("audio", at("sound")), "loaded");
    assert.equal(await shows("video", at("sound")), "loaded");
    assert.equal((await reads(at("json"))).text, '{"a":1}');
    assert.equal((await reads(at("404"))).status, 404);
    const part = await page.evaluate((url) => fetch(url, { headers: { Range: "bytes=1-3" } }).then(async (r) => [r.status, await r.text()]), at("json"));
    assert.deepEqual(part, [206, '"a"']);
  }
  assert.deepEqual(await probes(), []);
});

test("A7: what is opened by itself is shown", async () => {
  for (const at of [own, open]) {
    await page.goto(at("png"));
    assert.equal(await page.evaluate(() => document.images[0].naturalWidth), 7);
    await page.goto(at("drawn"));
    assert.equal(await page.evaluate(() => document.documentElement.getBoundingClientRect().width), 7);
    await page.goto(at("sound"));
    await page.waitForFunction(() => document.querySelector("video, audio").readyState > 0);
    await page.goto(at("json"));
    assert.match(await page.textContent("body"), /"a":1/);
  }
});

for (const [what, at] of [["a route of the user's", own], ["a public route", open]]) {
  for (const name of ["mpegurl", "x-mpegurl", "apple", "mp4", "mpeg", "ogg"]) {
    test(`A7: a playlist, called ${name}, of ${what} asks for nothing`, async () => {
      const got = page.waitForResponse(at("list-" + name));
      await page.goto(at("list-" + name), { waitUntil: "commit" }).catch((e) => assert.match(String(e), /Download is starting|ERR_ABORTED/));
      assert.equal((await got).status(), 200);
      // The player asks within milliseconds; to play nothing is no event to wait for.
      await new Promise((later) => setTimeout(later, 700));
      assert.deepEqual(await probes(), []);
    });
  }
}

test("A7: no script of the platform becomes a service worker", async () => {
  await page.goto(PROXY + "/page");
  for (const at of [own, open]) {
    assert.equal((await reads(at("worker"))).status, 200);
    const how = await page.evaluate((url) => navigator.serviceWorker.register(url).then(() => "registered", (e) => String(e)), at("worker"));
    assert.match(how, /403/);
    assert.equal(await page.evaluate(() => navigator.serviceWorker.getRegistrations().then((all) => all.length)), 0);
  }
});

// For a browser whose viewer does not run in a sandbox.
test("A7: a document is saved, or shown from a blob", async () => {
  for (const at of [own, open]) {
    await page.goto(PROXY + "/page");
    const popup = page.waitForEvent("popup");
    const kind = await page.evaluate(async (url) => {
      const blob = await (await fetch(url)).blob();
      window.open(URL.createObjectURL(blob));
      return blob.type;
    }, at("pdf"));
    assert.equal(kind, "application/pdf");
    await (await popup).close();
  }
});

test("A7: downloads are saved", async () => {
  for (const at of [own, open]) {
    await page.goto(PROXY + "/page");
    const saved = page.waitForEvent("download");
    await page.evaluate((url) => { location = url; }, at("saved"));
    const download = await saved;
    assert.equal(download.suggestedFilename(), "report.html");
    assert.equal(await download.failure(), null);
    const named = page.waitForEvent("download");
    await page.evaluate((url) => {
      const a = document.createElement("a");
      a.href = url;
      a.download = "mine.pdf";
      document.body.append(a);
      a.click();
    }, at("pdf"));
    assert.equal(await (await named).failure(), null);
  }
});

test("R1: a trusted page shows and reads public routes", async () => {
  await page.goto(TRUSTED + "/page");
  for (const at of [open, logo]) {
    assert.equal(await shows("img", at("png")), "loaded");
    assert.equal(await shows("img", at("drawn")), "loaded");
    assert.equal(await shows("img", at("png"), { crossorigin: "anonymous" }), "loaded");
    assert.equal(await shows("img", at("png"), { crossorigin: "use-credentials" }), "loaded");
    assert.equal(await shows("video", at("sound")), "loaded");
    assert.equal(await shows("video", at("sound"), { crossorigin: "anonymous" }), "loaded");
    for (const init of [{}, credentials, { headers: { "X-Anything": "1" } }]) {
      assert.deepEqual(await reads(at("json"), init).then((r) => [r.status, r.text]), [200, '{"a":1}']);
    }
    assert.equal((await reads(at("404"))).status, 404);
    assert.equal((await reads(at("500"))).status, 500);
  }
});

test("R1: a trusted page reads why it is refused", async () => {
  await page.goto(TRUSTED + "/page");
  const refused = await reads(PROXY + "/mdh/api/v1/administration/x", credentials);
  assert.equal(refused.status, 403);
  assert.match(refused.details, /route_denied/);
  assert.equal((await reads(open("json"), { method: "POST" })).status, 401); // not public for that
});

test("R1: a trusted page shows and reads what needs the session, if it says so", async () => {
  await page.goto(TRUSTED + "/page");
  assert.equal((await reads(own("json"), credentials)).text, '{"a":1}');
  assert.equal((await reads(own("json"), {})).status, 401);
  assert.equal((await reads(own("json"), { ...credentials, headers: { "X-Anything": "1" } })).status, 200);
  for (const kind of ["img", "video"]) {
    const name = kind === "img" ? "png" : "sound";
    assert.equal(await shows(kind, own(name), { crossorigin: "use-credentials" }), "loaded");
    assert.equal(await shows(kind, own(name)), "failed"); // any site's page can ask like this
  }
});

test("R1: a page of another origin gets what anybody may see, and nothing else", async () => {
  await page.goto(STRANGER + "/page");
  for (const at of [own, open, logo]) {
    for (const init of [{}, credentials, { headers: { "X-Anything": "1" } }]) {
      assert.equal(await reads(at("json"), init), "nothing");
    }
    assert.equal(await shows("img", at("png"), { crossorigin: "use-credentials" }), "failed");
  }
  assert.equal(await shows("img", own("png")), "failed");
  assert.equal(await shows("video", own("sound")), "failed");
  assert.equal(await shows("img", logo("png")), "loaded");
  // Nor is it opened, or framed, as a page of the app.
  for (const at of [own, open, logo]) {
    for (const start of [TRUSTED, STRANGER]) {
      await page.goto(start + "/page");
      const arrived = page.waitForResponse(at("page"));
      await page.evaluate((url) => { location = url; }, at("page"));
      assert.equal((await arrived).status(), 403);
      await page.waitForURL(at("page"));
      await page.goto(start + "/page");
      const framed = page.waitForResponse(at("page"));
      await page.evaluate((url) => {
        const frame = document.createElement("iframe");
        frame.src = url;
        document.body.append(frame);
      }, at("page"));
      assert.equal((await framed).status(), 403);
    }
  }
  assert.deepEqual(await probes(), []);
});
