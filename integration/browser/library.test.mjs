// SPDX-License-Identifier: Apache-2.0

// MyDataHelps' component library in Chromium, set up as caddymodule/docs/frontend.md
// says, in both modes of delegate_token. library_test.go runs it and sets:
//
//	PROXY_URL      origin of the app whose SDK calls the proxy
//	TOKEN_URL      origin of the app whose SDK holds a token
//	SIMULATOR_URL  origin of the simulated platform
//	PEOPLE         [{"cookie": "name=value", …}, …]: two participants, and somebody who is none
//	VISITORS       ["name=value", …]: the cookies of participants called Alice, one for each part and mode
//	BUNDLE         folder that both apps serve at /app/
//	COMPONENTS     {"HomeView": ["GET /api/v1/delegated/project", …], …}: what the docs say they call
//	SCREENSHOT_DIR where pictures are left, if anywhere

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { build } from "esbuild";
import { chromium } from "playwright-core";

const { PROXY_URL, TOKEN_URL, SIMULATOR_URL, BUNDLE, SCREENSHOT_DIR, CHROMIUM = "/usr/bin/chromium" } = process.env;
const [alice, bob, mallory] = JSON.parse(process.env.PEOPLE);
const documented = JSON.parse(process.env.COMPONENTS);
const visitors = JSON.parse(process.env.VISITORS);

// What each part of the library needs of its parent, and something that it
// shows once its data is there.
const month = { month: new Date().getUTCMonth(), year: new Date().getUTCFullYear() };
const parts = {
  ConnectEhr: [{ applicationUrl: "ehr" }, /Simulated Study/],
  ConnectEhrView: [{ externalAccountsApplicationUrl: "accounts" }, /Simulated Health Plan/],
  ConnectFitbit: [{ title: "Fitbit" }, /Fitbit/],
  DeviceDataMonthChart: [{ title: "Chart", lines: [{ label: "Steps", dailyDataType: "FitbitSteps", showAverage: true }], ...month }, /Chart/],
  DeviceDataMonthCharts: [{}, /Steps/i],
  DeviceDataView: [{}, /Charge 6/],
  ExternalAccountList: [{}, /Last updated/i],
  ExternalAccountsPreview: [{ applicationUrl: "accounts" }, /Simulated Clinic/],
  ExternalAccountsView: [{ presentation: "Push" }, /Last updated/i],
  FitbitDevices: [{}, /Aria Air/],
  FitbitMonthCharts: [{}, /Resting Heart Rate/i],
  FitbitView: [{}, /Inspire 3/],
  HomeView: [{ ehrConnectApplicationUrl: "ehr", notificationsViewUrl: "n", tasksViewUrl: "t" }, /support@example\.org/],
  MostRecentNotification: [{}, /Hello Alice/],
  NotificationList: [{}, /Hello Alice/],
  NotificationsView: [{ notificationType: "Email", presentation: "Modal" }, /Hello Alice/],
  ProjectHeader: [{}, /Simulated Organization/],
  ProjectSupport: [{}, /555-0100/],
  ProviderSearch: [{ providerCategories: ["Provider"] }, /Simulated Clinic/],
  SurveyTaskList: [{ status: "incomplete", title: "Tasks" }, /Survey 1/],
  SurveyTasksView: [{ presentation: "Push" }, /Survey 2/],
};

// What is exported and fetches nothing; PlatformSpecificContent shows nothing but inside of the platform.
const plain = /^(Action|ActivityMeter|Button|Calendar|Card|CardTitle|DateRangeNavigator|DayTrackerSymbol|Face|Histogram|Layout|LoadingIndicator|NavigationBar|PlatformSpecificContent|Section|SegmentedControl|ShinyOverlay|Single\w+|SparkBarChart|StatusBarBackground|Switch|TextBlock|TrackerItem|WeekCalendar|DailyDataType|checkDailyDataAvailability|queryDailyData|registerDailyDataProvider|useInterval)$/;

// Under one name two things are exported.
const twice = { RestingHeartRateCalendar: "ProviderSearch" };

let browser;

before(async () => {
  await build({
    entryPoints: ["library.tsx"], bundle: true, format: "esm", splitting: true, outdir: BUNDLE, logLevel: "error",
    define: { "process.env.NODE_ENV": '"production"' },
  });
  await writeFile(join(BUNDLE, "index.html"), `<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Library</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/app/library.css">
<div id="root"></div>
<script type="module" src="/app/library.js"></script>
</html>`);
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
});

after(() => browser?.close());

// visit opens a browser of somebody's own and has f use it: page; complaints,
// errors of the page and what its policy blocked; and calls of the SDK, as
// "METHOD path".
async function visit(url, cookie, f) {
  const context = await browser.newContext({ permissions: ["local-network-access"], viewport: { width: 480, height: 900 } });
  try {
    context.setDefaultTimeout(60_000);
    if (cookie) {
      const [name, value] = cookie.split("=");
      await context.addCookies([{ name, value, url, httpOnly: true, sameSite: "Lax" }]);
    }
    const page = await context.newPage();
    const complaints = [], calls = new Set(), open = new Set();
    page.on("pageerror", (e) => complaints.push(`error: ${e}`));
    page.on("console", (m) => { if (m.type() === "error") complaints.push(`console: ${m.text()} (${m.location().url})`); });
    page.on("request", (r) => {
      const at = r.url().search(/\/api\/v\d\/delegated\//);
      if (at >= 0 && ["fetch", "xhr"].includes(r.resourceType())) open.add(r), calls.add(`${r.method()} ${new URL(r.url().slice(at), url).pathname.replace(/\/\d+(?=\/|$)/g, "/*")}`);
    });
    for (const end of ["requestfinished", "requestfailed"]) page.on(end, (r) => open.delete(r));
    await f({ url, page, complaints, calls, open });
  } finally {
    await context.close();
  }
}

// show mounts a part and waits for what it shows. query is more of the address.
async function show({ url, page, calls, open }, name, query = "") {
  const [props, wanted] = parts[name];
  await page.goto(`${url}/app/?show=${name}&props=${encodeURIComponent(JSON.stringify(props))}${query}`);
  await page.waitForFunction((source) => new RegExp(source, "i").test(document.getElementById("root").innerText), wanted.source);
  // One call leads to another. What is awaited in vain, the comparison shows.
  const settled = () => open.size === 0 && routes(name).every((c) => calls.has(c));
  for (const end = Date.now() + 30_000; Date.now() < end;) {
    await page.evaluate(() => new Promise((later) => setTimeout(later, 50)));
    if (settled()) break;
  }
  await page.waitForFunction(() => ![...document.querySelectorAll(".loading-indicator")].some((e) => e.checkVisibility()));
}

async function picture(page, name) {
  if (SCREENSHOT_DIR) await page.screenshot({ path: join(SCREENSHOT_DIR, `${name}.png`), fullPage: true });
}

const routes = (name) => [...documented[name] ?? assert.fail(`${name} is not in the table`)].sort();

test("every part of the library that fetches is shown, and in the docs' table", () => visit(PROXY_URL, alice.cookie, async ({ page }) => {
  await page.goto(PROXY_URL + "/app/");
  await page.waitForFunction(() => window.names);
  const fetching = (await page.evaluate(() => window.names)).filter((n) => !plain.test(n) && !twice[n]);
  assert.deepEqual(fetching.sort(), Object.keys(parts).sort());
  assert.deepEqual(Object.keys(documented).sort(), Object.keys(parts).sort());
}));

// The organisation's logo is no part of the API: no token opens it, and the
// proxy does not lead there. The docs say so.
const logo = /status of 403.*\/mdh\/content\/logo\.png/;

// Views are what parts are put together to: in token mode they show the same parts.
const shown = [
  ...Object.keys(parts).map((name) => ["proxy", PROXY_URL, name]),
  ...Object.keys(parts).filter((name) => name.endsWith("View")).map((name) => ["token", TOKEN_URL, name]),
];

describe("K2, K6: by the calls that the docs say, under the docs' policy", { concurrency: 3 }, () => {
  for (const [n, [mode, url, name]] of shown.entries()) {
    test(`${name} shows its data in ${mode} mode`, () => visit(url, visitors[n], async (v) => {
      await show(v, name);
      await picture(v.page, `${mode}-${name}`);
      assert.deepEqual([...v.calls].sort(), routes(name));
      assert.deepEqual(v.complaints.filter((c) => !(mode === "proxy" && logo.test(c))), []);
    }));
  }
});

const ready = (page) => page.waitForFunction(() => window.mdh?.token);

describe("clicks", { concurrency: 3 }, () => {
  test("K6, K8: accounts are deleted and connected", () => visit(PROXY_URL, bob.cookie, async ({ page, complaints }) => {
    await page.goto(`${PROXY_URL}/app/?show=ExternalAccountList`);
    const accounts = page.locator(".mdhui-single-external-account");
    await accounts.nth(2).waitFor();
    await accounts.nth(1).locator(".delete-button").click();
    await page.waitForFunction(() => document.querySelectorAll(".mdhui-single-external-account").length === 2);
    await page.goto(`${PROXY_URL}/app/?show=ProviderSearch&props=${encodeURIComponent(JSON.stringify({ providerCategories: ["Provider"] }))}`);
    await page.locator(".provider").first().click();
    await page.getByRole("button", { name: "Allow" }).click();
    await page.waitForURL(PROXY_URL + "/app/**");
    await page.locator(".connected-status").first().waitFor();
    assert.deepEqual(complaints, []);
  }));

  // Bob's accounts are counted at the same time, above.
  test("K8: an account is connected in a window of its own", () => visit(PROXY_URL, alice.cookie, async ({ page }) => {
    await page.goto(`${PROXY_URL}/app/`);
    await ready(page);
    const opened = page.waitForEvent("popup");
    const done = page.evaluate(() => window.mdh.connectExternalAccount(45417, { openNewWindow: true }).then(() => "connected"));
    const popup = await opened;
    await popup.getByRole("button", { name: "Allow" }).click();
    assert.equal(await done, "connected");
    const accounts = await page.evaluate(() => window.mdh.getExternalAccounts());
    assert.ok(accounts.some((a) => a.provider.id === 45417), "it is not there");
  }));

  test("K6: navigation is the page's own, where it gives one", () => visit(PROXY_URL, alice.cookie, async (v) => {
    await show(v, "HomeView");
    await v.page.getByText("support@example.org").click(); // nothing happens
    assert.equal(v.page.context().pages().length, 1);
    await v.page.evaluate(() => {
      window.went = [];
      window.mdh.openExternalUrl = window.mdh.openEmbeddedUrl = window.mdh.openApplication = (to) => window.went.push(to);
    });
    for (const text of ["support@example.org", "Learn more", "All Notifications"]) await v.page.getByText(text).click();
    assert.deepEqual(await v.page.evaluate(() => window.went), ["mailto:support@example.org", "https://example.org/learn", "n"]);
  }));

  test("K8b: a file is uploaded from a page", () => visit(TOKEN_URL, alice.cookie, async ({ page, complaints }) => {
    await page.goto(`${TOKEN_URL}/app/`);
    await ready(page);
    const files = await page.evaluate(async () => {
      await window.mdh.uploadFile(new File(["text"], "a.txt", { type: "text/plain" }), "notes");
      return (await window.mdh.queryFiles({ category: "notes" })).files;
    });
    assert.deepEqual(files.map((f) => f.fileName), ["a.txt"]);
    assert.deepEqual(complaints, []);
  }));

  // takeSurvey answers the survey that is shown.
  async function takeSurvey(page) {
    const frame = page.frameLocator("#mydatahelps-survey-frame");
    await frame.getByLabel("How are you").fill("well");
    await page.locator(".mydatahelps-survey-modal.loaded").waitFor();
    await picture(page, `survey-${new URL(page.url()).hostname}`);
    await frame.getByRole("button", { name: "Finish" }).click();
    await page.locator("#mydatahelps-survey-modal").waitFor({ state: "detached" });
  }

  const answered = (page) => page.evaluate(() => window.mdh.querySurveyAnswers({ surveyName: "Survey1" }).then((a) => a.surveyAnswers.length));

  test("K8b: a survey is taken in token mode", () => visit(TOKEN_URL, alice.cookie, async (v) => {
    await show(v, "SurveyTaskList");
    const before = await answered(v.page);
    await v.page.getByText("Survey 1").click();
    await takeSurvey(v.page);
    assert.equal(await answered(v.page), before + 1);
    assert.deepEqual(v.complaints, []);
  }));

  test("K4: a survey is taken beside proxy mode, and nothing else has a token", () => visit(PROXY_URL, bob.cookie, async (v) => {
    const { page } = v;
    const sent = new Set();
    page.on("request", (r) => { if (r.url().startsWith(PROXY_URL + "/mdh/")) sent.add(r.headers().authorization); });
    await show(v, "SurveyTaskList", "&surveys=1");
    assert.equal(await page.evaluate(() => window.mdh.token.access_token), "session");
    const before = await answered(page);
    const finished = page.evaluate(() => new Promise((resolve) => window.mdh.on("surveyDidFinish", (e) => resolve(e.reason))));
    await page.getByText("Survey 1").click();
    await takeSurvey(page);
    assert.equal(await finished, "Completed");
    assert.equal(await answered(page), before + 1);
    assert.deepEqual(v.complaints, []);
    assert.deepEqual([...sent], ["Bearer session"]);
  }));
});

// The SDK takes a page that has not set it up yet for one inside of the
// platform, and asks that for a token: the reason why the docs say to await first.
test("K1: a component that is mounted before the SDK is set up never loads", () => visit(PROXY_URL, alice.cookie, async ({ page, calls }) => {
  await page.goto(`${PROXY_URL}/app/?early&show=ProjectSupport`);
  await ready(page);
  assert.equal((await page.evaluate(() => window.mdh.getProjectInfo())).name, "Simulated Study");
  assert.deepEqual([...calls], ["GET /api/v1/delegated/project"]); // that one
  assert.ok(!/555-0100/.test(await page.locator("#root").innerText()), "it has loaded: the docs need not say so any more");
}));

describe("K3, K4, K5: who is refused is told why", { concurrency: 3 }, () => {
  const says = (page, text) => page.locator("[role=alert]").filter({ hasText: text }).waitFor();

  test("nobody is signed in", () => visit(PROXY_URL, "", async ({ page }) => {
    await page.goto(`${PROXY_URL}/app/?show=HomeView`);
    await says(page, "Please sign in.");
    assert.equal(await page.getByRole("link", { name: "Sign in" }).count(), 1);
  }));

  for (const [mode, url] of [["proxy", PROXY_URL], ["token", TOKEN_URL]]) {
    test(`no participant, in ${mode} mode`, () => visit(url, mallory.cookie, async ({ page }) => {
      await page.goto(`${url}/app/?show=HomeView`);
      await says(page, "You do not take part in this study yet.");
      assert.equal(await page.locator(".mdhui-layout").count(), 0, "components are mounted");
      await picture(page, `${mode}-no-participant`);
    }));
  }

  test("the token route is busy, and then it is not", () => visit(PROXY_URL, alice.cookie, async (v) => {
    let asked = 0;
    await v.page.route("**/mdh-token", (route) => (asked++ ? route.continue() : route.fulfill({ status: 503, headers: { "Retry-After": "1" } })));
    await show(v, "ProjectSupport");
    assert.equal(asked, 2);
  }));

  test("the token route stays away", () => visit(PROXY_URL, alice.cookie, async ({ page }) => {
    await page.route("**/mdh-token", (route) => route.fulfill({ status: 503, headers: { "Retry-After": "1" } }));
    await page.goto(`${PROXY_URL}/app/?show=HomeView`);
    await says(page, "try again later");
  }));

  test("an auth server leads to its login page", () => visit(PROXY_URL, alice.cookie, async ({ page }) => {
    let asked = 0;
    await page.route("**/mdh-token", (route) => { asked++; return route.fulfill({ status: 302, headers: { Location: "https://login.example.org/" } }); });
    await page.goto(`${PROXY_URL}/app/?show=HomeView`);
    await says(page, "Please sign in.");
    assert.equal(asked, 1);
  }));
});

test("K5: the platform's limit is reached, which says for how long", () => visit(PROXY_URL, alice.cookie, async ({ page }) => {
  const set = (settings) => fetch(SIMULATOR_URL + "/_simulator/settings", { method: "PATCH", body: JSON.stringify(settings) });
  await set({ delegatedQuota: 1 });
  await page.goto(`${PROXY_URL}/app/?show=HomeView`);
  await page.locator("[role=alert]").filter({ hasText: /try again in \d+ min/ }).waitFor();
}));
