// SPDX-License-Identifier: Apache-2.0

// Every call of MyDataHelps' own JavaScript SDK through the proxy, by two
// people at the same moment. browser_test.go runs it and sets:
//
//	PROXY_BASE  where the proxy is, ending in a slash
//	PEOPLE      [{"cookie": "name=value", "id": "GUID", "identifier": "…"}, {…}]

import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import test from "node:test";

const base = process.env.PROXY_BASE;
const people = JSON.parse(process.env.PEOPLE);
const current = new AsyncLocalStorage();

// What the SDK needs of a browser to load and to follow the way to a consent page.
globalThis.window = {
  location: { href: "https://app.example.org/", search: "", origin: "https://app.example.org" },
  addEventListener() {},
  crypto: globalThis.crypto,
  top: { set location(url) { current.getStore().arrive(url); } },
};
globalThis.document = { location: window.location };
globalThis.navigator ??= { language: "en-US" };

// The timer for the SDK's next token must not keep the process alive.
const nodeTimer = globalThis.setTimeout;
globalThis.setTimeout = (...args) => nodeTimer(...args).unref();

// Node has no cookie jar. As in a browser, the cookie goes to its own origin alone.
const nodeFetch = globalThis.fetch;
globalThis.fetch = (url, init = {}) => {
  const headers = new Headers(init.headers);
  const { cookie } = current.getStore();
  if (cookie && new URL(url).origin === new URL(base).origin) headers.set("Cookie", cookie);
  return nodeFetch(url, { ...init, headers });
};

const { MyDataHelps } = await import("@careevolution/mydatahelps-js");

function signIn(person) {
  const sdk = new MyDataHelps();
  sdk.setParticipantAccessToken({ access_token: "session", expires_in: 3600, token_type: "Bearer" }, base);
  return { ...person, sdk, kept: {} };
}
const users = people.slice(0, 2).map(signIn);
users.forEach((user, i) => { user.other = users[1 - i]; });

// like checks an answer against an example: same types, lists not empty.
function like(answer, example, at = "answer") {
  if (Array.isArray(example)) {
    assert.ok(Array.isArray(answer) && answer.length > 0, `${at} is no list with something in it`);
    answer.forEach((item, i) => like(item, example[0], `${at}[${i}]`));
  } else if (typeof example === "object") {
    assert.ok(answer && typeof answer === "object", `${at} is no object`);
    for (const key of Object.keys(example)) like(answer[key], example[key], `${at}.${key}`);
  } else {
    assert.equal(typeof answer, typeof example, at);
  }
}

// own checks that an answer names its reader, and nobody else.
function own(answer, user) {
  const names = { participantID: 0, participantIdentifier: 0 };
  const text = JSON.stringify(answer, (key, value) => {
    if (key === "participantID") assert.equal(value, user.id);
    if (key === "participantIdentifier") assert.equal(value, user.identifier);
    if (key in names) names[key]++;
    return value;
  });
  assert.ok(names.participantID && names.participantIdentifier, "the answer does not say whose it is");
  assert.ok(!text.includes(user.other.id) && !text.includes(user.other.identifier), "the answer names the other participant");
}

const days = (n) => new Date(Date.now() + n * 86_400_000); // from now
const range = { observedAfter: days(-9).toISOString(), observedBefore: days(1) };
const page = { limit: 2 };
const point = { id: "", type: "", value: "", namespace: "", insertedDate: "", modifiedDate: "" };
const result = { id: "", surveyID: "", surveyName: "", date: "", insertedDate: "", userType: "" };
const account = { id: 0, provider: { id: 0, name: "", logoUrl: "" }, status: "", lastRefreshDate: "" };
const provider = { id: 0, name: "", category: "", logoUrl: "", enabled: true };
const file = { participantID: "", key: "", category: "", fileName: "", lastModified: "" };

// The calls in the order in which they are made: method, how to call it, and
// what the answer looks like. An answer that is nobody's has public: true; one
// without a body has done, which checks what the call was to achieve.
const calls = [
  ["getParticipantInfo", ({ sdk }) => sdk.getParticipantInfo(), { like: { participantID: "", linkIdentifier: "", demographics: { firstName: "" }, customFields: {}, enrollmentDate: "", projectID: "" } }],
  ["persistParticipantInfo", ({ sdk, id }) => sdk.persistParticipantInfo({ city: "Sample Town" }, { note: `note of ${id}` }), {
    like: { participantID: "", demographics: { city: "" } },
    done: async ({ sdk, id }) => assert.equal((await sdk.getParticipantInfo()).customFields.note, `note of ${id}`),
  }],
  ["getProjectInfo", ({ sdk }) => sdk.getProjectInfo(), { like: { id: "", name: "", code: "", organization: { id: "", name: "", logoUrl: "" }, platforms: [""] } }],
  ["getDataCollectionSettings", ({ sdk }) => sdk.getDataCollectionSettings(), { like: { fitbitEnabled: true, queryableDeviceDataTypes: [{ namespace: "", type: "" }] } }],
  ["getDataAvailability", ({ sdk }) => sdk.getDataAvailability(), { like: { appleHealthRecords: true, healthConnectPhr: true } }],

  ["querySurveyAnswers", ({ sdk }) => sdk.querySurveyAnswers({ ...page, surveyName: ["Survey1", "Survey2", "Comma, \\"], after: days(-9) }), {
    like: { surveyAnswers: [{ id: "", surveyResultID: "", surveyName: "", date: "", stepIdentifier: "", answers: [""] }] },
    done: (_, answer) => assert.deepEqual(answer.surveyAnswers.map((a) => a.surveyName), ["Survey1", "Survey2"]),
  }],
  ["querySurveyResults", ({ sdk }) => sdk.querySurveyResults({ ...page, insertedAfter: days(-9) }), {
    like: { surveyResults: [result], nextPageID: "" },
    done: async ({ sdk, kept }, first) => {
      const next = await sdk.querySurveyResults({ ...page, pageID: first.nextPageID });
      like(next, { surveyResults: [result] });
      const ids = [...first.surveyResults, ...next.surveyResults].map((r) => r.id);
      assert.equal(new Set(ids).size, ids.length, "pages overlap");
      [kept.result, kept.spareResult] = ids;
    },
  }],
  ["deleteSurveyResult", ({ sdk, kept }) => sdk.deleteSurveyResult(kept.result), {
    done: async ({ sdk, kept }) => assert.ok(!(await sdk.querySurveyResults({})).surveyResults.some((r) => r.id === kept.result), "it is still there"),
  }],
  ["querySurveyTasks", ({ sdk }) => sdk.querySurveyTasks({ status: ["incomplete", "complete"], sortOrder: "descending" }), { like: { surveyTasks: [{ id: "", surveyName: "", status: "", insertedDate: "", modifiedDate: "" }] } }],

  ["queryInboxItems", ({ sdk }) => sdk.queryInboxItems({ type: ["message", "survey"], category: undefined }), {
    like: { items: [{ type: "", id: "", insertedDate: "", status: "", isNew: true }] },
    done: ({ kept }, answer) => { kept.item = answer.items[0].id; },
  }],
  ["getInboxItem", ({ sdk, kept }) => sdk.getInboxItem(kept.item), { like: { id: "", type: "", title: "", isNew: true } }],
  ["updateInboxItem", ({ sdk, kept }) => sdk.updateInboxItem(kept.item, "markRead"), {
    like: { update: "", status: "" },
    done: async ({ sdk, kept }) => assert.equal((await sdk.getInboxItem(kept.item)).isNew, false),
  }],
  ["queryNotifications", ({ sdk }) => sdk.queryNotifications({ type: "Email", sentAfter: days(-9) }), { like: { notifications: [{ id: "", identifier: "", sentDate: "", statusCode: "", type: "", recipients: [""] }] } }],

  ["persistDeviceData", ({ sdk, id }) => sdk.persistDeviceData([{ type: "Mood", value: `mood of ${id}`, observationDate: days(-1).toISOString() }]), {
    done: async ({ sdk, id, kept }) => {
      const { deviceDataPoints } = await sdk.queryDeviceData({ namespace: "Project", type: "Mood" });
      kept.point = deviceDataPoints.find((p) => p.value === `mood of ${id}`)?.id;
      assert.ok(kept.point, "it is not there");
    },
  }],
  ["queryDeviceData", ({ sdk }) => sdk.queryDeviceData({ namespace: "Project", type: ["Steps", "Mood"], ...range }), {
    like: { deviceDataPoints: [point] },
    done: ({ kept }, answer) => { kept.sparePoint = answer.deviceDataPoints[0].id; },
  }],
  ["getDeviceDataPoint", ({ sdk, kept }) => sdk.getDeviceDataPoint(kept.point), { like: point }],
  ["deleteDeviceDataPoint", ({ sdk, kept }) => sdk.deleteDeviceDataPoint(kept.point), {
    done: ({ sdk, kept }) => assert.rejects(sdk.getDeviceDataPoint(kept.point), says("Not Found")),
  }],
  ["getDeviceDataAllDataTypes", ({ sdk }) => sdk.getDeviceDataAllDataTypes(true, "Fitbit"), { like: [{ namespace: "", type: "", enabled: true }] }],
  ["queryDeviceDataV2", ({ sdk }) => sdk.queryDeviceDataV2({ namespace: "Fitbit", type: "Steps", ...range, dataSource: { sourceName: "a,b" }, properties: { kind: "c\\d" } }), { like: { deviceDataPoints: [{ ...point, identifier: "", units: "", observationDate: "" }] } }],
  ["queryDeviceDataV2Aggregate", ({ sdk }) => sdk.queryDeviceDataV2Aggregate({ namespace: "Fitbit", type: "Steps", intervalAmount: 1, intervalType: "Days", aggregateFunctions: ["sum", "maximum"] }), { like: { intervals: [{ namespace: "", type: "", date: "", statistics: { sum: 0, maximum: 0 } }] } }],
  ["queryDeviceDataV2DailySleep", ({ sdk }) => sdk.queryDeviceDataV2DailySleep({ namespace: "Fitbit", type: "Sleep", ...range }), { like: { sleepStageSummaries: [{ date: "", value: "", duration: "" }] } }],
  ["getDeviceDataV2AllDataTypes", ({ sdk }) => sdk.getDeviceDataV2AllDataTypes(), { like: [{ namespace: "", type: "", enabled: true, retentionDays: 0 }] }],

  ["queryFitbitDailySummaries", ({ sdk }) => sdk.queryFitbitDailySummaries({ startDate: days(-9) }), { like: { results: [{ date: "", steps: 0, heartRateZones: { cardio: { minutes: 0 } }, tracker: { steps: 0 } }] } }],
  ["queryFitbitSleepLogs", ({ sdk }) => sdk.queryFitbitSleepLogs({ endDate: days(1) }), { like: { results: [{ startTimestamp: "", endTimestamp: "", duration: 0, type: "" }] } }],
  ["queryAppleHealthActivitySummaries", ({ sdk }) => sdk.queryAppleHealthActivitySummaries({ pageSize: 10 }), { like: { totalResults: 0, results: [{ id: "", activeEnergyBurned: 0, startDate: "" }] } }],
  ["queryAppleHealthWorkouts", ({ sdk }) => sdk.queryAppleHealthWorkouts({}), { like: { totalResults: 0, results: [{ id: "", source: { name: "" }, summary: { activityType: "" }, device: { name: "" } }] } }],

  ["getExternalAccountProviders", ({ sdk }) => sdk.getExternalAccountProviders("i", "Device Manufacturer", 2, 0), { like: { externalAccountProviders: [provider], totalExternalAccountProviders: 0 } }],
  ["getFeaturedProviders", ({ sdk }) => sdk.getFeaturedProviders("devices"), { like: [provider] }],
  ["connectExternalAccount", connect, {
    like: "",
    public: true, // a URL
    done: ({ id }, answer) => {
      const url = new URL(answer);
      assert.equal(url.searchParams.get("participant"), id);
      assert.equal(url.searchParams.get("finalRedirectPath"), "https://app.example.org/done?a=b&c=d");
      assert.match(url.searchParams.get("verifierHash"), /^[\w-]{43}$/);
      assert.match(url.hash, /^#verifier=[0-9a-f]{32}$/);
    },
  }],
  ["getExternalAccounts", ({ sdk }) => sdk.getExternalAccounts(), {
    like: [account],
    done: ({ kept }, answer) => { [kept.account, kept.spareAccount] = answer.map((a) => a.id); },
  }],
  ["refreshExternalAccount", ({ sdk, kept }) => sdk.refreshExternalAccount(kept.account), {}],
  ["deleteExternalAccount", ({ sdk, kept }) => sdk.deleteExternalAccount(kept.account).then(() => {}), {
    done: async ({ sdk, kept }) => assert.ok(!(await sdk.getExternalAccounts()).some((a) => a.id === kept.account), "it is still there"),
  }],

  ["uploadFile", ({ sdk, id }) => sdk.uploadFile(new File([`file of ${id}`], "a b&c.txt", { type: "text/plain" }), "notes"), {
    done: async ({ sdk, kept }) => {
      const { files } = await sdk.queryFiles({ category: "notes" });
      like(files, [file]);
      assert.equal(files[0].fileName, "a b&c.txt");
      // deleteFile and getFileDownloadUrl put the key into the query as it is.
      kept.file = encodeURIComponent(files[0].key);
    },
  }],
  ["queryFiles", ({ sdk }) => sdk.queryFiles({ category: "welcome" }), {
    like: { files: [file] },
    done: ({ kept }, answer) => { kept.spareFile = answer.files[0].key; },
  }],
  ["getFileDownloadUrl", ({ sdk, kept }) => sdk.getFileDownloadUrl(kept.file), {
    like: { preSignedUrl: "" },
    done: async ({ sdk, id, kept }, answer) => {
      assert.equal(await (await nodeFetch(answer.preSignedUrl)).text(), `file of ${id}`);
      like(await sdk.getFileDownloadUrl(kept.spareFile), { preSignedUrl: "" }); // slashes, not escaped
    },
  }],
  ["deleteFile", ({ sdk, kept }) => sdk.deleteFile(kept.file), {
    done: ({ sdk, kept }) => assert.rejects(sdk.getFileDownloadUrl(kept.file), says("Not Found")),
  }],

  ["trackCustomEvent", ({ sdk }) => sdk.trackCustomEvent({ eventType: "visit", properties: { count: 1 } }), {}],
  ["invokeCustomApi", ({ sdk }) => sdk.invokeCustomApi("Asthma.ActionPlan", "get", { a: "1", b: "2 & 3" }, true), {
    like: { name: "", method: "", query: { a: [""] } },
    done: async ({ sdk }, answer) => {
      assert.deepEqual([answer.name, answer.method, answer.query], ["Asthma.ActionPlan", "GET", { a: ["1"], b: ["2 & 3"] }]);
      for (const method of ["POST", "PUT"]) {
        const changed = await sdk.invokeCustomApi("HealthAndWellnessApi.Allergies", method, { pollen: true }, true);
        assert.deepEqual([changed.method, changed.body], [method, { pollen: true }]);
      }
    },
  }],
  ["lookupSecondaryView", ({ sdk }) => sdk.lookupSecondaryView("5f1d2c3b-0000-4000-8000-00000000a001", "details"), { like: { key: "", url: "" }, public: true }],
];

// The SDK rejects with nothing but the answer's reason phrase.
function says(phrase) {
  return (reason) => { assert.equal(reason, phrase); return true; };
}

// The promise of connectExternalAccount stays open until the person comes back
// from the consent page: what counts is where the browser was sent.
function connect({ sdk }) {
  return new Promise((resolve, reject) => {
    current.getStore().arrive = resolve;
    sdk.connectExternalAccount(564, { standaloneModeFinalRedirectPath: "https://app.example.org/done?a=b&c=d", openNewWindow: false }).catch(reject);
  });
}

// A call that a newer SDK adds must be tried here as well.
test("every method of the SDK that sends a request is tried", () => {
  const methods = Object.getOwnPropertyNames(MyDataHelps.prototype).filter((name) => {
    const { value } = Object.getOwnPropertyDescriptor(MyDataHelps.prototype, name);
    return !["constructor", "makeRequest"].includes(name) && typeof value === "function" && /\b(makeRequest|fetch)\(/.test(value);
  });
  assert.ok(methods.length > 30);
  assert.deepEqual(calls.map(([name]) => name).sort(), methods.sort());
});

// Two people doing the same at the same moment is when answers get mixed up.
for (const [name, call, want] of calls) {
  test(name, async () => {
    const answers = await Promise.all(users.map((user) => current.run(user, async () => {
      const answer = await call(user);
      if (want.like === undefined) assert.equal(answer, undefined);
      else like(answer, want.like);
      if (want.like !== undefined && !want.public) own(answer, user);
      return answer;
    })));
    await Promise.all(users.map((user, i) => current.run(user, () => want.done?.(user, answers[i]))));
  });
}

// A project's own API may take any method.
test("invokeCustomApi with DELETE", () => current.run(users[0], async () => {
  const answer = await users[0].sdk.invokeCustomApi("HealthAndWellnessApi.Allergies", "DELETE", { id: "7" }, true);
  assert.deepEqual([answer.method, answer.query], ["DELETE", { id: ["7"] }]);
}));

// Knowing the name of another person's thing must not be enough to reach it.
test("what belongs to somebody else is not found", async () => {
  const gone = says("Not Found");
  await Promise.all(users.map((user) => current.run(user, async () => {
    const { sdk, other: { kept } } = user;
    await assert.rejects(sdk.getInboxItem(kept.item), gone);
    await assert.rejects(sdk.updateInboxItem(kept.item, "markRead"), gone);
    await assert.rejects(sdk.deleteSurveyResult(kept.spareResult), gone);
    await assert.rejects(sdk.getDeviceDataPoint(kept.sparePoint), gone);
    await assert.rejects(sdk.deleteDeviceDataPoint(kept.sparePoint), gone);
    await assert.rejects(sdk.refreshExternalAccount(kept.spareAccount), gone);
    await assert.rejects(sdk.deleteExternalAccount(kept.spareAccount), gone);
    await assert.rejects(sdk.getFileDownloadUrl(kept.spareFile), gone);
    await assert.rejects(sdk.deleteFile(kept.spareFile), gone);
  })));
  await Promise.all(users.map((user) => current.run(user, async () => {
    const { sdk, kept } = user;
    like(await sdk.getDeviceDataPoint(kept.sparePoint), point);
    assert.ok((await sdk.querySurveyResults({})).surveyResults.some((r) => r.id === kept.spareResult));
    assert.ok((await sdk.getExternalAccounts()).some((a) => a.id === kept.spareAccount));
    assert.ok((await sdk.queryFiles({})).files.some((f) => f.key === kept.spareFile));
  })));
});

// Without a session the SDK's own bearer must not let anybody in.
test("a person who is not signed in is refused", async () => {
  const stranger = signIn({});
  await current.run(stranger, async () => {
    await assert.rejects(stranger.sdk.getParticipantInfo(), says("Unauthorized"));
    await assert.rejects(stranger.sdk.deleteFile(users[0].kept.spareFile), says("Unauthorized"));
  });
});
