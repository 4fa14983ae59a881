// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

const productsPage = "../caddymodule/docs/sessions.md"

// loginProducts are all that the page has a block for.
func loginProducts() []*loginProduct {
	return slices.Concat(issuerProducts, moreIssuerProducts, appProducts)
}

// linkedProducts are those whose blocks another page has.
var linkedProducts = []string{"Authelia", "Authentik", "oauth2-proxy"}

// sections are the parts of the page by their headings.
func sections(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(productsPage)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for _, part := range regexp.MustCompile(`(?m)^###? `).Split(string(text), -1)[1:] {
		heading, rest, _ := strings.Cut(part, "\n")
		all[heading] = rest
	}
	return all
}

// productFrame is the Caddyfile that the page puts the products' snippets in.
var productFrame = sync.OnceValue(func() string {
	text, err := os.ReadFile(productsPage)
	if err != nil {
		return ""
	}
	_, after, _ := strings.Cut(string(text), "\n## Which settings for …\n")
	blocks := fenced(productsPage, after, "caddyfile")
	if len(blocks) == 0 {
		return ""
	}
	return blocks[0].text
})

// inFrame puts a product's snippets where the frame says.
func inFrame(b block) string {
	const there = "# (session) and (sign_out), from below\n"
	if !strings.HasPrefix(b.text, "(session) {") || !strings.Contains(productFrame(), there) {
		return b.text
	}
	return strings.Replace(productFrame(), there, b.text, 1)
}

// TestProducts protects whoever pastes a block of the page: it loads as it
// stands, lets in whom the product says is signed in, as that user, and nobody
// else. Issuer and app are local and speak as the product's documentation says.
func TestProducts(t *testing.T) {
	text := sections(t)
	for _, p := range loginProducts() {
		t.Run(p.name, func(t *testing.T) {
			blocks := fenced(productsPage, text[p.name], "caddyfile")
			if len(blocks) != 1 {
				t.Fatalf("the page has %d blocks for it", len(blocks))
			}
			r := runProduct(t, p, blocks[0])
			for _, c := range p.cases() {
				t.Run(c.name, func(t *testing.T) { c.try(t, r) })
			}
		})
	}
}

func runProduct(t *testing.T, p *loginProduct, b block) *productRun {
	t.Helper()
	r := &productRun{loginProduct: p, stack: newStack(t, p.participants()...), server: newProductServer(t, p)}
	r.client = signIn(t, r.stack, "nobody")
	r.text = r.local(t, b.text)
	load(t, r.stack, r.text)
	return r
}

// participants are who the platform knows the product's users as.
func (p *loginProduct) participants() []simulator.Participant {
	users := slices.Clone(p.ids)
	for n := range productUsers {
		users = append(users, p.user(n))
	}
	all := make([]simulator.Participant, len(users))
	for i, user := range users {
		all[i] = simulator.Participant{Identifier: fmt.Sprint(user)}
	}
	return all
}

var (
	asking     = regexp.MustCompile(`(?m)^(\s*(?:jwks|introspect|session_endpoint)\s+)https?://[^/\s]+`)
	signingOut = regexp.MustCompile(`(?m)^\s*handle (\S+) \{\n\s*import session optional\n\s*delegate_logout\n\s*(reverse_proxy|respond 204)\b`)
	proxying   = regexp.MustCompile(`(?m)^(\s*reverse_proxy) \S+$`)
)

// local puts a block on this machine: what it asks and proxies is the product's
// server, and the platform the simulator. What it compares with stays as it is.
func (r *productRun) local(t *testing.T, text string) string {
	t.Helper()
	text = inFrame(block{text: text})
	for _, change := range []struct{ from, to string }{
		{"{\n\tdelegate {", "{" + stack.Options + "\tdelegate {"},
		{"provider mydatahelps {", "provider mydatahelps {\n\t\t\tbase_url [[.PlatformURL]]"},
		{"app.example.org {\n\thandle_path", "http://127.0.0.1:[[.Port]] {\n\thandle_path"},
	} {
		if strings.Count(text, change.from) != 1 {
			t.Fatalf("the block does not have %q once", change.from)
		}
		text = strings.Replace(text, change.from, change.to, 1)
	}
	signing := signingOut.FindStringSubmatch(text)
	if signing == nil {
		t.Fatal("the block has no sign-out")
	}
	r.server.logout, r.server.ends = signing[1], signing[2] == "reverse_proxy"
	if !asking.MatchString(text) && r.signed == nil {
		t.Fatal("the block asks nobody")
	}
	text = asking.ReplaceAllString(text, "${1}"+r.server.URL)
	text = proxying.ReplaceAllString(text, "$1 "+strings.TrimPrefix(r.server.URL, "http://"))
	if r.signed != nil && r.signed.secret != "" {
		file := secretFile(t, r.stack, r.signed.secret)
		secret, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		r.server.secret = string(secret)
	}
	return pasted(t, r.stack, text)
}

// TestProductsTable protects readers of the page: every product has a block and
// a row of the table, and what the table says is tried is.
func TestProductsTable(t *testing.T) {
	text := sections(t)
	part := text["What is tested"]
	above, _, _ := strings.Cut(part, "| Product |")
	_, everywhere, _ := strings.Cut(above, "in all rows:")
	rows := make(map[string]string)
	for _, row := range regexp.MustCompile(`(?m)^\| ([^|]+) \|(.*)\|$`).FindAllStringSubmatch(part, -1) {
		rows[row[1]] = row[2]
	}
	delete(rows, "Product")
	names := regexp.MustCompile("`([A-Z]\\w+)`")
	all := declaredTests(t)
	for _, p := range loginProducts() {
		row, ok := rows[p.name]
		if !ok {
			t.Errorf("%s has no row", p.name)
			continue
		}
		delete(rows, p.name)
		tried := []string{"Rotation"}
		for _, c := range p.cases() {
			tried = append(tried, c.name)
			if !strings.Contains(row, "`"+c.name+"`") && !strings.Contains(everywhere, "`"+c.name+"`") {
				t.Errorf("%s: %s is tried, and the table does not say so", p.name, c.name)
			}
		}
		for _, name := range names.FindAllStringSubmatch(row, -1) {
			if !slices.Contains(tried, name[1]) && !strings.Contains(all, "\n"+name[1]+"\n") {
				t.Errorf("%s: the table names %s, which there is not", p.name, name[1])
			}
		}
		if p.rotates() != strings.Contains(row, "`Rotation`") {
			t.Errorf("%s: TestProductsRotation tries it: %t, and the table says otherwise", p.name, p.rotates())
		}
	}
	for heading, row := range rows {
		tests := names.FindAllStringSubmatch(row, -1)
		if len(tests) == 0 || !slices.Contains(linkedProducts, heading) {
			t.Errorf("the table has a row %s, and there is no such product", heading)
		}
		for _, name := range tests {
			if !strings.Contains(all, "\n"+name[1]+"\n") {
				t.Errorf("%s: the table names %s, which there is not", heading, name[1])
			}
		}
	}
	for heading, part := range text {
		if strings.Contains(part, "(session) {\n") && !slices.ContainsFunc(loginProducts(), func(p *loginProduct) bool { return p.name == heading }) {
			t.Errorf("the block of %s is not tried", heading)
		}
	}
	if !strings.Contains(text[strings.Join(linkedProducts, ", ")], "(authenticators.md)") {
		t.Errorf("the page does not say where the blocks of %v are", linkedProducts)
	}
}
