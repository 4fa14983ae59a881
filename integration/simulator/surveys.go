// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"html/template"
	"net/http"
	"strconv"
)

// pageRoutes are what browsers open by its address: no token, and not the API.
var pageRoutes = []route{
	to("GET", "externalaccounts/consent", "", (*call).consent),
	to("POST", "externalaccounts/consent", "", (*call).consent),
	to("GET", "survey", "", (*call).showSurvey),
	to("GET", "mydatahelps/*/surveylink/*", "", (*call).showLinkedSurvey),
	to("POST", "mydatahelps/*/surveylink/*", "", (*call).saveLinkedSurvey),
	to("GET", "Content/Loading.css", "", (*call).showStyle),
	to("GET", "content/logo.png", "", (*call).showLogo),
}

// surveyAnswer is what somebody wrote into a survey.
type surveyAnswer struct {
	name, answer string
	date         string
}

// surveyPage speaks with the SDK that shows it in a frame, as the platform's
// does: the SDK hands it a token, and is told when the survey is shown and over.
// Where the survey is stored is the simulator's own invention.
var surveyPage = template.Must(template.New("").Parse(`<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width">
<title>{{.Name}}</title>
<style>body { font: 1rem/1.5 sans-serif; max-width: 30rem; margin: 3rem auto; padding: 0 1rem } button, input { font: inherit; padding: .5rem 1rem }</style>
<h1>{{.Name}}</h1>
<form hidden>
	<p><label>How are you, <b></b>? <input name="answer" required></label>
	<p><button>Finish</button> <button type="button">Leave</button>
</form>
<p role="alert" hidden></p>
<script>
const name = {{.Name}}, link = {{.Link}};
const form = document.querySelector("form"), problem = document.querySelector("[role=alert]");
const tell = (message) => parent.postMessage(message, "*");
const finish = (reason) => tell({ name: "SurveyFinished", reason, surveyName: name });
let send;

async function call(token, base, path, init = {}) {
	const answer = await fetch(base + "api/v1/delegated/" + path, { ...init, headers: { Authorization: "Bearer " + token, "Content-Type": "application/json" } });
	if (!answer.ok) throw new Error("the platform does not accept the token: " + answer.status);
	return answer.json();
}

function show(who) {
	document.querySelector("b").textContent = who;
	form.hidden = false;
	tell({ name: "SurveyWindowInitialized" });
}

function fail(error) {
	problem.hidden = false;
	problem.textContent = error.message;
}

form.addEventListener("submit", (event) => {
	event.preventDefault();
	send(form.elements.answer.value).then(() => finish("Completed"), fail);
});
form.querySelector("button[type=button]").addEventListener("click", () => finish("Discarded"));

if (link) {
	send = async (answer) => {
		const res = await fetch(location.pathname, { method: "POST", body: new URLSearchParams({ answer }) });
		if (!res.ok) throw new Error("the link is not known: " + res.status);
	};
	show({{.Who}});
} else {
	addEventListener("message", ({ source, data }) => {
		if (source !== parent || data?.name !== "DelegatedAccessTokenResponse" || send) return;
		const { accessToken: { access_token: token }, baseUrl } = data;
		send = (answer) => call(token, baseUrl, "custom/Simulator.Survey", { method: "POST", body: JSON.stringify({ surveyName: name, answer }) });
		call(token, baseUrl, "participant").then((p) => show(p.demographics.firstName || p.participantIdentifier), fail);
	});
	tell({ name: "GetDelegatedAccessToken" });
}
</script>
`))

func (c *call) showSurvey() {
	name := c.URL.Query().Get("surveyName")
	if name == "" {
		c.fail(http.StatusBadRequest, "surveyName is missing")
		return
	}
	c.page(surveyPage, map[string]any{"Name": name, "Link": "", "Who": ""})
}

// findByLink finds the participant by the link's identifier, which is the secret of
// startEmbeddedSurvey.
func (c *call) findByLink() bool {
	for _, p := range c.sim.people.all() {
		if guidOf("link", p.ID) == c.args[0] {
			c.participant = c.sim.people.byID(p.ID)
			return c.participant != nil
		}
	}
	c.fail(http.StatusNotFound, "no such link")
	return false
}

func (c *call) showLinkedSurvey() {
	if c.findByLink() {
		c.page(surveyPage, map[string]any{"Name": c.args[1], "Link": c.args[0], "Who": c.participant.FirstName})
	}
}

func (c *call) saveLinkedSurvey() {
	c.Body = http.MaxBytesReader(c.w, c.Body, 64<<10)
	if err := c.ParseForm(); err != nil {
		c.fail(http.StatusBadRequest, "the form cannot be read")
		return
	}
	if c.findByLink() {
		c.saveSurveyAnswer(c.args[1], c.PostForm.Get("answer"))
	}
}

func (c *call) saveSurvey() {
	var given struct{ SurveyName, Answer string }
	if c.read(&given) {
		c.saveSurveyAnswer(given.SurveyName, given.Answer)
	}
}

// saveSurveyAnswer keeps an answer: it is among the participant's answers and results, and
// their tasks of that survey are complete.
func (c *call) saveSurveyAnswer(name, answer string) {
	if name == "" {
		c.fail(http.StatusBadRequest, "surveyName is missing")
		return
	}
	c.sim.stored.of(c.participant.ID).addSurvey(surveyAnswer{name, answer, isoDate(c.now)})
	c.json(http.StatusOK, c.withOwner(map[string]any{"surveyName": name}))
}

// answeredSurveys are the surveys that the participant has answered, as items with more fields.
func (c *call) answeredSurveys(kind string, more func(n int, s surveyAnswer) map[string]any) []map[string]any {
	surveys := c.sim.stored.find(c.participant.ID).allSurveys()
	items := make([]map[string]any, len(surveys))
	for n, s := range surveys {
		items[n] = c.withOwner(merged(map[string]any{
			"id": c.ref(kind+" taken", n), "surveyID": guidOf("survey", s.name), "surveyName": s.name, "surveyDisplayName": s.name, "surveyVersion": 1,
			"insertedDate": s.date, "date": s.date,
		}, more(n, s)))
	}
	return items
}

func (c *call) answeredSurveyAnswers() []map[string]any {
	return c.answeredSurveys("surveyanswer", func(n int, s surveyAnswer) map[string]any {
		return map[string]any{
			"surveyResultID": c.ref("surveyresult taken", n), "type": "Text", "stepIdentifier": "Step1", "resultIdentifier": "Result" + strconv.Itoa(n+1),
			"answers": []string{s.answer},
		}
	})
}

func (c *call) answeredSurveyResults() []map[string]any {
	return c.answeredSurveys("surveyresult", func(int, surveyAnswer) map[string]any { return map[string]any{"userType": "Participant"} })
}

// isAnswered tells whether the participant has answered the survey.
func (c *call) isAnswered(name string) bool {
	for _, s := range c.sim.stored.find(c.participant.ID).allSurveys() {
		if s.name == name {
			return true
		}
	}
	return false
}

func (c *call) showStyle() { c.raw("text/css; charset=utf-8", "body { font: 1rem sans-serif }\n") }
