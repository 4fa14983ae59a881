// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"encoding/base64"
	"strconv"
	"strings"
)

// healthRecords are the custom APIs by which the component library reads health
// records, in the form that it expects of GET.
var healthRecords = map[string]func(*call) any{
	"healthandwellnessapi.allergies":            (*call).allergies,
	"healthandwellnessapi.conditions":           (*call).conditions,
	"healthandwellnessapi.medications":          (*call).medications,
	"healthandwellnessapi.labresults":           (*call).labResults,
	"healthandwellnessapi.labresultsbloodtype":  (*call).bloodType,
	"healthandwellnessapi.patienteventspreview": (*call).eventsPreview,
	"healthandwellnessapi.newsfeed":             (*call).newsFeed,
	"healthandwellnessapi.terminformation":      (*call).termInformation,
	"healthandwellnessapi.downloadreport":       (*call).report,
}

// term is the code of a term that more can be read about.
func term(code string) map[string]any {
	return map[string]any{"TermFamily": "Problem", "TermNamespace": "SNOMED", "TermCode": code}
}

func (c *call) named(field string, names ...string) []map[string]any {
	all := make([]map[string]any, len(names))
	for n, name := range names {
		all[n] = c.withOwner(map[string]any{field: name, "ID": c.ref(field, n), "TermInformation": term(strconv.Itoa(1000 + n))})
	}
	return all
}

func (c *call) allergies() any {
	all := c.named("Substance", "Peanuts", "Penicillin", "Pollen")
	for n, reactions := range [][]string{{"Rash", "Cough"}, {"Rash"}, {}} {
		all[n]["Reactions"] = reactions
	}
	return all
}

func (c *call) conditions() any { return c.named("DisplayName", "Asthma", "Hay fever", "Migraine") }

func (c *call) medications() any {
	all := c.named("DisplayName", "Salbutamol", "Cetirizine", "Ibuprofen")
	for _, m := range all {
		m["OrderText"] = "As needed, for " + c.participant.FirstName
	}
	return all
}

func (c *call) lab(kind, value, acuity string, n int) map[string]any {
	points := make([]map[string]any, 6)
	for x := range points {
		points[x] = map[string]any{"X": x * 20, "Y": c.number(kind, x, 10, 30)}
	}
	return c.withOwner(map[string]any{
		"Type": kind, "MostRecentValue": value, "AcuityHighlight": acuity, "MostRecentDate": c.day(n),
		"NormalRangeTopY": 15, "NormalRangeBottomY": 35, "SparklinePoints": points, "TermInformation": term(strconv.Itoa(2000 + n)),
	})
}

func (c *call) labResults() any {
	return c.withOwner(map[string]any{
		"ImportantLabs": []any{
			[]any{c.lab("Glucose", "92 mg/dL", "Normal", 3), c.lab("HbA1c", "5.4 %", "Normal", 3)},
			[]any{c.lab("Cholesterol", "212 mg/dL", "High", 9)},
		},
		"RecentLabs": map[string]any{"TotalLabReports": itemsPerKind, "RecentLabReports": []string{"Blood count", "Lipid panel", "Metabolic panel"}},
	})
}

func (c *call) bloodType() any {
	return c.withOwner(map[string]any{"BloodTypeLabs": []any{
		map[string]any{"Type": "ABO Group", "MostRecentValue": "A", "MostRecentDate": c.day(30)},
		map[string]any{"Type": "Rh Type", "MostRecentValue": "Positive", "MostRecentDate": c.day(30)},
	}})
}

// eventsPreview tells of the kind that View names.
func (c *call) eventsPreview() any {
	values, ok := map[string][]string{
		"medications": {"Salbutamol", "Cetirizine", "Ibuprofen"}, "immunizations": {"Influenza", "Tetanus"}, "reports": {"Discharge summary"},
		"allergies": {"Peanuts", "Penicillin", "Pollen"}, "conditions": {"Asthma", "Hay fever", "Migraine"}, "procedures": {"Spirometry"},
	}[strings.ToLower(c.URL.Query().Get("View"))]
	if !ok {
		values = []string{}
	}
	return c.withOwner(map[string]any{"PreviewValues": values, "Count": len(values)})
}

// feedPage is how many events a page of a feed has.
const feedPage = 2

// newsFeed pages through the events of the kind that Feed names.
func (c *call) newsFeed() any {
	q := c.URL.Query()
	start := 0
	for start < itemsPerKind && q.Get("PageID") != "" && c.ref("event", start) != q.Get("PageID") {
		start++
	}
	end := min(start+feedPage, itemsPerKind)
	events := make([]any, 0, feedPage)
	for n := start; n < end; n++ {
		events = append(events, c.event(q.Get("Feed"), n))
	}
	answer := c.withOwner(map[string]any{"Events": events})
	if end < itemsPerKind {
		answer["NextPageID"], answer["NextPageDate"] = c.ref("event", end), c.day(end)
	}
	return answer
}

func (c *call) event(feed string, n int) map[string]any {
	id, day := c.ref("event", n), c.day(n)
	kind, event := "Report", any(map[string]any{"ID": id, "Type": "Discharge summary", "Format": "text/html", "Summary": "For " + c.participant.FirstName})
	switch strings.ToLower(feed) {
	case "immunizations":
		kind, event = "Immunization", map[string]any{"ID": id, "Date": day, "MedicationName": "Influenza"}
	case "procedures":
		kind, event = "ProcedureGroup", []any{map[string]any{"ID": id, "Date": day, "Procedure": "Spirometry"}}
	case "labreports":
		kind, event = "LabReport", map[string]any{
			"ID": id, "ObservationDate": day, "Service": "Blood count", "ReportStatus": "Final",
			"LabObservations": []any{map[string]any{"ID": c.ref("observation", n), "Type": "Haemoglobin", "Value": "14.1", "Units": "g/dL", "NormalRange": "13-17", "ObservationDate": day}},
		}
	}
	return c.withOwner(map[string]any{
		"Type": kind, "ID": id, "Date": day, "Event": event,
		"Patient": map[string]any{
			"PatientID": c.ref("patient", 0), "PersonID": c.participant.ID, "RecordAuthority": "Simulated Clinic",
			"PatientName": strings.TrimSpace(c.participant.FirstName + " " + c.participant.LastName),
		},
	})
}

func (c *call) termInformation() any {
	return []any{c.withOwner(map[string]any{"Title": "About it", "Link": "https://example.org/term", "Summary": "<p>What the word means.</p>"})}
}

func (c *call) report() any {
	text := "<p>Discharge summary of " + c.participant.FirstName + "</p>"
	return c.withOwner(map[string]any{"Type": "Discharge summary", "ContentType": "text/html", "Content": base64.StdEncoding.EncodeToString([]byte(text))})
}
