// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator/control"
)

// serveFHIR answers with the records of the patient whom the consent is about: a
// read such as Patient/pat-1, or a search such as Observation?patient=pat-1.
func (c *call) serveFHIR(g *grant) {
	rest := strings.TrimPrefix(c.path, c.settings.Paths.Data+"/")
	kind, id, read := strings.Cut(rest, "/")
	what := byte('s')
	if read {
		what = 'r'
	}
	if !c.allow(http.MethodGet, http.MethodHead) {
		return
	}
	records, known := fhirRecords(kind, g.patient, c.sim.patientName(g), c.now)
	switch {
	case !known || strings.Contains(id, "/"):
		c.outcome(http.StatusNotFound, "not-found", "there is no such resource")
	case !smartCovers(g.scopes, kind, what):
		c.w.Header().Set("WWW-Authenticate", `Bearer realm="simulator", error="insufficient_scope"`)
		c.outcome(http.StatusForbidden, "forbidden", fmt.Sprintf("the consent lacks patient/%s.%c", kind, what))
	case read:
		i := slices.IndexFunc(records, func(r item) bool { return r["id"] == id })
		if i < 0 {
			c.outcome(http.StatusNotFound, "not-found", "there is no such record, or it is another patient's")
			return
		}
		c.fhir(http.StatusOK, records[i])
	default:
		c.search(g, kind, records)
	}
}

// smartCovers reports whether the scopes let a client do what: r is to read, s to
// search. Of version 1, read is both.
func smartCovers(scopes []string, kind string, what byte) bool {
	return slices.ContainsFunc(scopes, func(scope string) bool {
		m := smartScope.FindStringSubmatch(scope)
		if m == nil || m[1] != "*" && m[1] != kind {
			return false
		}
		return m[2] == "read" || m[2] == "*" || m[2] != "write" && strings.IndexByte(m[2], what) >= 0
	})
}

// patientName is the name of the patient whom a consent is about.
func (v *Vendor) patientName(g *grant) string {
	a, _ := v.account(g.account)
	for _, p := range a.Patients {
		if p.ID == g.patient {
			return p.Name
		}
	}
	return ""
}

// fhirRecords are a patient's records of a kind, and whether the server has the kind.
func fhirRecords(kind, patient, name string, now time.Time) ([]item, bool) {
	subject := item{"reference": "Patient/" + patient}
	switch kind {
	case "Patient":
		return []item{{
			"resourceType": kind, "id": patient, "name": []item{{"text": name}},
			"birthDate": fmt.Sprintf("%d-%02d-%02d", 1950+vary(70, patient, "year"), 1+vary(12, patient), 1+vary(28, patient, "day")),
		}}, true
	case "Observation":
		var all []item
		for i, g := range glucose(patient, now) {
			all = append(all, item{
				"resourceType": kind, "id": fmt.Sprintf("obs-%s-%d", patient, i), "status": "final", "subject": subject,
				"code":              item{"coding": []item{{"system": "http://loinc.org", "code": "2339-0", "display": "Glucose [Mass/volume] in Blood"}}},
				"effectiveDateTime": g["time"], "valueQuantity": item{"value": g["value"], "unit": g["unit"]},
			})
		}
		return all, true
	case "Condition":
		names := []string{"Asthma", "Hypertension", "Migraine", "Type 2 diabetes"}
		return []item{{
			"resourceType": kind, "id": "con-" + patient, "subject": subject, "code": item{"text": names[vary(len(names), patient, "condition")]},
		}}, true
	}
	return nil, false
}

// search answers with a Bundle, whose next page has an absolute address.
func (c *call) search(g *grant, kind string, records []item) {
	q := c.URL.Query()
	for _, name := range []string{"patient", "subject", "_id"} {
		if name == "_id" && kind != "Patient" {
			continue
		}
		if who := strings.TrimPrefix(q.Get(name), "Patient/"); who != "" && who != g.patient {
			c.outcome(http.StatusForbidden, "forbidden", "the consent is about another patient")
			return
		}
	}
	count, ok1 := whole(q.Get("_count"), 20)
	offset, ok2 := whole(q.Get("_offset"), 0)
	if !ok1 || !ok2 || count == 0 {
		c.outcome(http.StatusBadRequest, "invalid", "_count or _offset is no whole number")
		return
	}
	base := c.settings.fhirBase(control.Base(c.Request))
	links := []item{{"relation": "self", "url": base + "/" + kind + "?" + c.URL.RawQuery}}
	total := len(records)
	if offset+count < total {
		next := url.Values{"_count": {strconv.Itoa(count)}, "_offset": {strconv.Itoa(offset + count)}}
		links = append(links, item{"relation": "next", "url": base + "/" + kind + "?" + next.Encode()})
	}
	entries := []item{}
	for _, r := range records[min(offset, total):min(offset+count, total)] {
		entries = append(entries, item{"fullUrl": fmt.Sprintf("%s/%s/%s", base, kind, r["id"]), "resource": r})
	}
	c.fhir(http.StatusOK, item{"resourceType": "Bundle", "type": "searchset", "total": total, "link": links, "entry": entries})
}

func (c *call) fhir(status int, v any) {
	c.send(status, "application/fhir+json; charset=utf-8", control.Marshal(v))
}

// outcome answers with an error as FHIR servers do.
func (c *call) outcome(status int, code, reason string) {
	c.because(code + ": " + reason)
	c.fhir(status, item{"resourceType": "OperationOutcome", "issue": []item{{"severity": "error", "code": code, "diagnostics": reason}}})
}

// capabilities are those of the server, which nobody needs a token for.
func (c *call) capabilities() {
	base := control.Base(c.Request)
	c.fhir(http.StatusOK, item{
		"resourceType": "CapabilityStatement", "status": "active", "kind": "instance", "fhirVersion": "4.0.1", "format": []string{"json"},
		"rest": []item{{
			"mode": "server",
			"security": item{"extension": []item{{
				"url": "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris",
				"extension": []item{
					{"url": "authorize", "valueUri": base + c.settings.Paths.Authorize}, {"url": "token", "valueUri": base + c.settings.Paths.Token},
				},
			}}},
			"resource": []item{{"type": "Patient"}, {"type": "Observation"}, {"type": "Condition"}},
		}},
	})
}
