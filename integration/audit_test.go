// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"golang.org/x/crypto/bcrypt"
	"google.golang.org/protobuf/proto"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// logged is a Caddyfile template that logs to a file, and the file.
func logged(t *testing.T, caddyfile string) (changed, file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "caddy.log")
	return strings.Replace(caddyfile, "default_bind", "log {\n\t\toutput file "+file+"\n\t}\n\tdefault_bind", 1), file
}

// lines are the lines of a log with a message, and the whole text. Caddy is
// stopped first, so that nothing is still to be written.
func lines(t *testing.T, file, message string) (found []map[string]any, text string) {
	t.Helper()
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if fields["msg"] == message {
			found = append(found, fields)
		}
	}
	return found, string(content)
}

// TestAuditLog protects operators who have to account for what was done, and
// people, whom the log does not name unless the operator says so.
func TestAuditLog(t *testing.T) {
	for kind, want := range map[string]string{"": "", "log_subject none": "", "log_subject clear": "default alice"} {
		t.Run("with "+kind, func(t *testing.T) {
			caddyfile, file := logged(t, administered(strings.Replace(stack.Caddyfile, "delegate {", "delegate {\n\t\t"+kind, 1)))
			s := start(t, caddyfile)
			secrets := newWiretap(t, s)
			u := signIn(t, s, "alice")
			u.get(participantPath).want(t, http.StatusOK, "")
			u.get(participantPath).want(t, http.StatusOK, "")
			u.get("/mdh/api/v1/administration/x").want(t, http.StatusForbidden, "route_denied")
			s.Platform.Set(func(set *simulator.Settings) { set.Unauthorized = []string{stack.Alice.ID} })
			u.get(echoPath).want(t, http.StatusBadGateway, "upstream_unauthorized")
			newAdmin(t, s).purge(`{"realm":"default","subject":"alice"}`, `"mydatahelps"`)

			minted, text := lines(t, file, "minted")
			refused, _ := lines(t, file, "refused")
			purged, _ := lines(t, file, "purged")
			var kinds []string
			for _, line := range minted {
				kinds = append(kinds, fmt.Sprint(line["token"], " ", line["reason"], " ", line["outcome"]))
			}
			if want := []string{"service first ok", "delegated first ok", "delegated stale ok"}; !slices.Equal(kinds, want) {
				t.Errorf("minted %q, want %q", kinds, want)
			}
			if len(refused) != 2 || refused[0]["code"] != "route_denied" || refused[1]["code"] != "upstream_unauthorized" {
				t.Errorf("refused %v", refused)
			}
			if len(purged) != 1 || purged[0]["by"] != "admin" || purged[0]["selected"] != "subject" || purged[0]["complete"] != true {
				t.Errorf("purged %v", purged)
			}
			for _, line := range slices.Concat(minted[1:], refused, purged) {
				got := ""
				if line["realm"] != nil || line["subject"] != nil {
					got = fmt.Sprint(line["realm"], " ", line["subject"])
				}
				if got != want {
					t.Errorf("a line names %q, want %q: %v", got, want, line)
				}
			}
			if minted[0]["subject"] != nil || minted[0]["realm"] != nil {
				t.Errorf("the service account is somebody: %v", minted[0])
			}
			checkNobody(t, "the log", strings.ReplaceAll(text, `"subject":"alice"`, ""), secrets)
		})
	}
}

// TestLogSubjectNeedsKeyset protects operators who ask for pseudonyms from a
// log without any.
func TestLogSubjectNeedsKeyset(t *testing.T) {
	s := newStack(t)
	for kind, want := range map[string]string{"hmac": "keyset", "plain": "none, hmac or clear", "": "needs a value", "none\n\t\tlog_subject none": "set already"} {
		err := s.Load(strings.Replace(stack.Caddyfile, "delegate {", "delegate {\n\t\tlog_subject "+kind, 1))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("log_subject %s: %v, want %q", kind, err, want)
		}
	}
}

// TestLogSubjectByKeyset protects people whose acts have to be told apart: the
// same pseudonym stands in every line of theirs, over reloads, and their name
// in none.
func TestLogSubjectByKeyset(t *testing.T) {
	settings := "delegate {\n\t\tlog_subject hmac\n\t\tkeyset {file." + newKeyset(t) + "}"
	caddyfile, file := logged(t, administered(strings.Replace(stack.Caddyfile, "delegate {", settings, 1)))
	s := start(t, caddyfile)
	secrets := newWiretap(t, s)
	u := signIn(t, s, "alice")
	u.get(participantPath).want(t, http.StatusOK, "")
	load(t, s, caddyfile)
	u.get("/mdh/api/v1/administration/x").want(t, http.StatusForbidden, "route_denied")
	newAdmin(t, s).purge(`{"realm":"default","subject":"alice"}`, `"mydatahelps"`)
	signIn(t, s, "bob").get(participantPath).want(t, http.StatusOK, "")

	minted, text := lines(t, file, "minted")
	refused, _ := lines(t, file, "refused")
	purged, _ := lines(t, file, "purged")
	var names []any
	for _, line := range slices.Concat(minted, refused, purged) {
		if line["token"] != "service" {
			names = append(names, line["subject_hmac"])
		}
	}
	if len(names) != 4 || names[0] == nil || names[0] != names[2] || names[0] != names[3] || names[1] == nil || names[1] == names[0] {
		t.Errorf("pseudonyms %v; want bob's as the second of four and alice's else", names)
	}
	checkNobody(t, "the log", text, secrets)
}

// filter is what the page on operations says to write in every `log`.
const filter = `
		format filter {
			fields {
				user_id delete
				request>uri multi_regexp {
					regexp \?.* ?-
					regexp [0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12} -
				}
				request>headers>Referer delete
				resp_headers>Location delete
			}
		}`

// TestAccessLogFilter protects people from Caddy's own logs: with that
// filter neither the access log nor the error log tells who read what. Without
// it both do, or this would test nothing.
func TestAccessLogFilter(t *testing.T) {
	contains(t, page(t, operationsPage), strings.ReplaceAll(filter, "\n\t\t", "\n\t"))
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	for name, format := range map[string]string{"unfiltered": "", "filtered": filter} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "caddy.log")
			logs := "log {\n\t\toutput file " + file + format + "\n\t}\n\t"
			s := start(t, "{\n\t"+logs+stack.Options+`
	delegate {`+stack.Provider+`
	}
}
http://127.0.0.1:[[.Port]] {
	`+logs+`
	handle_path /mdh/* {
		basic_auth {
			alice `+string(hash)+`
		}
		delegate_proxy mydatahelps
	}
}
`)
			u := signIn(t, s, "alice")
			ask := func(path string) {
				t.Helper()
				req := u.request(http.MethodGet, path, nil)
				req.SetBasicAuth("alice", "secret")
				req.Header.Set("Referer", "https://app.example.org/patients/alice")
				u.do(req)
			}
			ask(echoPath + "?first=alice&id=" + stack.Alice.ID)
			ask(customPath + stack.Alice.ID)
			ask(customPath + "Redirect?to=/patients/alice")
			s.Intercept(func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) })
			ask(echoPath + "?id=" + stack.Alice.ID)

			access, text := lines(t, file, "handled request")
			if len(access) != 4 || !strings.Contains(text, `"http.log.error`) || format == "" && !strings.Contains(text, `"Location":`) {
				t.Fatalf("%d access lines in:\n%s", len(access), text)
			}
			named := strings.Contains(text, "alice") && strings.Contains(text, stack.Alice.ID)
			if format == "" && !named {
				t.Errorf("the log names nobody, filtered or not:\n%s", text)
			}
			if format != "" && (strings.Contains(text, "alice") || strings.Contains(text, stack.Alice.ID)) {
				t.Errorf("the log names alice:\n%s", text)
			}
			if format != "" && !strings.Contains(text, strings.TrimSuffix(echoPath, "/")+"?-") {
				t.Errorf("the log does not tell which route it was:\n%s", text)
			}
		})
	}
}

// TestTraces protects operators who trace: with Caddy's tracing the lookup and
// the mints are spans of the request that waited for them, and name nobody.
func TestTraces(t *testing.T) {
	var mu sync.Mutex
	var spans []*trace.Span
	sink := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var export collector.ExportTraceServiceRequest
		if err := proto.Unmarshal(body, &export); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, resource := range export.GetResourceSpans() {
			for _, scope := range resource.GetScopeSpans() {
				spans = append(spans, scope.GetSpans()...)
			}
		}
	}))
	t.Cleanup(sink.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink.URL)

	s := start(t, strings.Replace(stack.Caddyfile, "delegate_proxy", "tracing\n\t\tdelegate_proxy", 1))
	u := signIn(t, s, "alice")
	u.get(participantPath).want(t, http.StatusOK, "")
	u.get(participantPath).want(t, http.StatusOK, "")
	if err := caddy.Stop(); err != nil { // which sends what is left
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	names := make(map[string]string)
	for _, span := range spans {
		names[string(span.GetSpanId())] = span.GetName()
	}
	var got []string
	for _, span := range spans {
		if name, ours := strings.CutPrefix(span.GetName(), "delegate."); ours {
			text := fmt.Sprint(span.GetAttributes(), span.GetStatus(), span.GetEvents())
			if strings.Contains(text, "alice") || strings.Contains(text, stack.Alice.ID) {
				t.Errorf("a span names alice: %s", text)
			}
			for _, a := range span.GetAttributes() {
				if a.GetKey() == "delegate.token" {
					name += " " + a.GetValue().GetStringValue()
				}
			}
			parent, _, _ := strings.Cut(names[string(span.GetParentSpanId())], " ")
			got = append(got, name+" in "+parent)
		}
	}
	slices.Sort(got)
	if want := []string{"lookup in handler", "mint delegated in handler", "mint service in delegate.lookup"}; !slices.Equal(got, want) {
		t.Errorf("spans %q, want %q; all: %v", got, want, names)
	}
}
