// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// rows are the tables below a heading: the code spans of the first cell of each
// row, with the cells behind it.
func rows(text, heading string) map[string][]string {
	_, text, _ = strings.Cut(text, "\n"+heading+"\n")
	text, _, _ = strings.Cut(text, "\n"+strings.Repeat("#", strings.IndexByte(heading, ' '))+" ")
	all := make(map[string][]string)
	for line := range strings.SplitSeq(text, "\n") {
		cells := strings.Split(strings.Trim(strings.ReplaceAll(line, " | |", " |  |"), "| "), " | ")
		if !strings.HasPrefix(line, "| `") || len(cells) < 2 {
			continue
		}
		for _, span := range codeSpans.FindAllStringSubmatch(cells[0], -1) {
			all[span[1]] = cells[1:]
		}
	}
	return all
}

var codeSpans = regexp.MustCompile("`([^`]+)`")

// TestReadmeIsShort protects who reads it: within ten minutes, read aloud.
func TestReadmeIsShort(t *testing.T) {
	text := readme(t)
	if lines := strings.Count(text, "\n"); lines > 250 {
		t.Errorf("README.md has %d lines, and 250 are enough", lines)
	}
	read := regexp.MustCompile(`\]\([^)]*\)`).ReplaceAllString(fences.ReplaceAllString(text, ""), "]")
	if words := len(regexp.MustCompile(`[\p{L}\p{N}_'/-]*[\p{L}\p{N}][\p{L}\p{N}_'/-]*`).FindAllString(read, -1)); words > 1500 {
		t.Errorf("README.md has %d words, and 1500 are read in ten minutes", words)
	}
}

// TestDocsCodes protects frontend developers: README's table has every code, with
// its status, and no others.
func TestDocsCodes(t *testing.T) {
	table := rows(readme(t), "## Codes")
	codes := sourceCode(t).constants(reflect.TypeFor[delegation.Refusal]().Field(0).Type.Name())
	if len(codes) < 25 {
		t.Fatalf("%d codes were found", len(codes))
	}
	for _, code := range codes {
		row, ok := table[code]
		delete(table, code)
		if want := strconv.Itoa(delegation.Refuse(delegation.Code(code), nil).Status()); !ok || row[0] != want {
			t.Errorf("%s: the answer's status is %s, and the table has %v", code, want, row)
		}
	}
	for code := range table {
		t.Errorf("the table has %s, which there is not", code)
	}
}

// TestDocsMetrics protects who builds a dashboard: the page has every metric with
// its labels, and no others.
func TestDocsMetrics(t *testing.T) {
	start(t, proxied("", ""))
	ctx, descriptions := caddy.ActiveContext(), make(chan *prometheus.Desc)
	go func() {
		ctx.GetMetricsRegistry().Describe(descriptions)
		close(descriptions)
	}()
	table := rows(documents(t)[operationsPage], "## Metrics")
	form := regexp.MustCompile(`fqName: "caddy_delegate_(\w+)".*variableLabels: \{([^}]*)\}`)
	found := 0
	for d := range descriptions {
		match := form.FindStringSubmatch(d.String())
		if match == nil {
			continue // Caddy's own
		}
		found++
		row, ok := table[match[1]]
		delete(table, match[1])
		if !ok || strings.ReplaceAll(row[0], " ", "") != match[2] {
			t.Errorf("%s has the labels %s, and the table %v", match[1], match[2], row)
		}
	}
	for name := range table {
		t.Errorf("the table has %s, which there is not", name)
	}
	if found < 10 {
		t.Errorf("%d metrics were found", found)
	}
}

// TestDocsCommands protects operators: the page has every command and flag, and
// no page has another one.
func TestDocsCommands(t *testing.T) {
	delegate := &cobra.Command{Use: "delegate"}
	caddycmd.Commands()["delegate"].CobraFunc(delegate)
	table := rows(documents(t)[operationsPage], "## Commands")
	_, shared, _ := strings.Cut(documents(t)[operationsPage], "\n## Commands\n")
	shared, _, _ = strings.Cut(shared, "\n|")
	found := 0
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
		if cmd.HasSubCommands() || cmd.Name() == "help" || cmd.Name() == "completion" {
			return
		}
		found++
		name := strings.TrimPrefix(cmd.CommandPath(), "delegate ")
		row, ok := table[name]
		delete(table, name)
		if !ok {
			t.Errorf("the table does not have %s", name)
			return
		}
		for flag := range strings.FieldsSeq(flags(cmd)) {
			if flag != "--help" && !strings.Contains(row[1]+shared, "`"+flag+"`") {
				t.Errorf("%s: %s is not in the table", name, flag)
			}
		}
	}
	walk(delegate)
	for name := range table {
		t.Errorf("the table has %s, which there is not", name)
	}
	if found < 10 {
		t.Errorf("%d commands were found", found)
	}
	used := regexp.MustCompile("(?m)caddy delegate ([a-z][^`\n]*)")
	for page, text := range documents(t) {
		for _, match := range used.FindAllStringSubmatch(text, -1) {
			line, comment, _ := strings.Cut(match[1], " #")
			if !strings.HasPrefix(comment, " --") {
				comment = "" // which otherwise begins with more flags
			}
			cmd, rest, err := delegate.Find(strings.Fields(line))
			if err != nil || cmd.HasSubCommands() && len(rest) > 0 || cmd == delegate {
				t.Errorf("%s: there is no command %q", page, line)
				continue
			}
			known := " " + flags(cmd) + " "
			for _, flag := range regexp.MustCompile(`--[a-z][a-z-]*`).FindAllString(line+comment, -1) {
				if !strings.Contains(known, " "+flag+" ") {
					t.Errorf("%s: %q has no flag %s", page, line, flag)
				}
			}
		}
	}
}

// flags are those of a command and its parents, as they are in its usage.
func flags(cmd *cobra.Command) string {
	return strings.Join(regexp.MustCompile(`--[a-z][a-z-]*`).FindAllString(cmd.LocalFlags().FlagUsages()+cmd.InheritedFlags().FlagUsages(), -1), " ")
}

// TestDocsAdminEndpoints protects operators: the page has every endpoint with its
// method, and no page has another one.
func TestDocsAdminEndpoints(t *testing.T) {
	info, err := caddy.GetModule("admin.api.delegate")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, route := range info.New().(caddy.AdminRouter).Routes() {
		w := httptest.NewRecorder()
		err := route.Handler.ServeHTTP(w, httptest.NewRequest("NONSENSE", route.Pattern, nil))
		refused, _ := errors.AsType[caddy.APIError](err)
		if refused.HTTPStatus != http.StatusMethodNotAllowed {
			t.Fatalf("%s: %v", route.Pattern, err)
		}
		all = append(all, w.Header().Get("Allow")+" "+route.Pattern)
	}
	table := rows(documents(t)[operationsPage], "## Admin API")
	for _, endpoint := range all {
		if _, ok := table[endpoint]; !ok {
			t.Errorf("the table does not have %s", endpoint)
		}
	}
	for page, text := range documents(t) {
		for _, path := range regexp.MustCompile(`(?:[A-Z]+ |localhost\S*)/delegate/\w+`).FindAllString(text, -1) {
			if at := strings.Index(path, "/delegate/"); !slices.ContainsFunc(all, func(endpoint string) bool {
				return strings.HasSuffix(endpoint, " "+path[at:]) && (strings.HasPrefix(path, "localhost") || endpoint == path)
			}) {
				t.Errorf("%s has %s, which there is not", page, path)
			}
		}
	}
}

// TestDocsPlaceholders protects who writes an access log: the page has every
// placeholder, and no page has another one. So with the names of traces.
func TestDocsPlaceholders(t *testing.T) {
	pages := documents(t)
	table := rows(pages[directivesPage], "## Placeholders")
	for _, literal := range sourceCode(t).literals {
		if !strings.HasPrefix(literal, "http.delegate.") {
			continue
		}
		if _, ok := table["{"+literal+"}"]; !ok {
			t.Errorf("the table does not have %s", literal)
		}
	}
	for page, text := range pages {
		for _, name := range regexp.MustCompile(`\{(http\.delegate\.\w+)\}`).FindAllStringSubmatch(text, -1) {
			if !slices.Contains(sourceCode(t).literals, name[1]) {
				t.Errorf("%s has %s, which there is not", page, name[1])
			}
		}
	}
	_, traces, _ := strings.Cut(pages[operationsPage], "\n## Traces\n")
	var used []string
	for _, literal := range sourceCode(t).literals {
		if regexp.MustCompile(`^delegate\.[a-z]+$`).MatchString(literal) && len(caddy.GetModules(literal)) == 0 {
			used = append(used, literal)
		}
	}
	if len(used) < 5 {
		t.Fatalf("%d names of traces were found", len(used))
	}
	for _, name := range used {
		if !strings.Contains(traces, "`"+name+"`") {
			t.Errorf("the traces' %s is not on the page", name)
		}
	}
	for _, span := range codeSpans.FindAllStringSubmatch(traces, -1) {
		if strings.HasPrefix(span[1], "delegate.") && !slices.Contains(used, span[1]) {
			t.Errorf("the page has the traces' %s, which there is not", span[1])
		}
	}
}
