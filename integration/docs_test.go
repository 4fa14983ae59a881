// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// documents are README.md and the pages of caddymodule/docs, by their paths.
func documents(t *testing.T) map[string]string {
	t.Helper()
	pages, err := filepath.Glob("../caddymodule/docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("caddymodule/docs has no pages: %v", err)
	}
	all := make(map[string]string)
	for _, page := range append(pages, "../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimPrefix(page, "../")] = string(text)
	}
	return all
}

// page is one of the pages of caddymodule/docs.
func page(t *testing.T, path string) string {
	t.Helper()
	text, ok := documents(t)[path]
	if !ok {
		t.Fatalf("there is no %s", path)
	}
	return text
}

const (
	directivesPage = "caddymodule/docs/directives.md"
	operationsPage = "caddymodule/docs/operations.md"
)

// block is a fenced block of a page.
type block struct {
	page string
	line int // of the page, where the fence is
	text string
}

func (b block) String() string { return fmt.Sprintf("%s:%d", b.page, b.line) }

var fences = regexp.MustCompile("(?ms)^([ \t]*)```([a-z]*)\n(.*?)^[ \t]*```$")

// fenced are the blocks of a language on a page, without their indentation.
func fenced(page, text, language string) (all []block) {
	for _, at := range fences.FindAllStringSubmatchIndex(text, -1) {
		if text[at[4]:at[5]] == language {
			indent := text[at[2]:at[3]]
			body := strings.TrimPrefix(strings.ReplaceAll("\n"+text[at[6]:at[7]], "\n"+indent, "\n"), "\n")
			all = append(all, block{page, 1 + strings.Count(text[:at[0]], "\n"), body})
		}
	}
	return all
}

// whole makes a Caddyfile of a block, which may be one already, global options,
// sites, or what stands in a site. What does not name its providers is given
// those of the names that it refers to.
func (b block) whole() string {
	b.text = inFrame(b)
	first, _, _ := strings.Cut(strings.TrimLeft(withoutComments(b.text), "\n"), "\n")
	word, _, _ := strings.Cut(first, " ")
	switch {
	case word == "{":
		return b.text
	case word == "provider":
		return "{\n\tdelegate {\n" + b.text + "\n\t}\n}\n"
	case word == "delegate" && strings.TrimSpace(first) == "delegate {":
		return "{\n" + b.text + "\n}\n"
	}
	options := minimal
	if regexp.MustCompile(`delegate(_\w+)?( @\w+| /\S*)? mydex\b`).MatchString(b.text) {
		options = strings.Replace(minimal, "delegate {", "delegate {\n"+minimalMydex, 1)
	}
	site := b.text
	if !isSite.MatchString(first) {
		site = "app.example.org {\n" + b.text + "\n}\n"
	}
	return "{" + options + "}\n" + site
}

// isSite tells the line that begins a site from a directive's.
var isSite = regexp.MustCompile(`^(\(\w+\)|https?://\S+|:\d+|[\w*-]+(\.[\w-]+)+(:\d+)?)(,? \S+)* \{$`)

const minimalMydex = `
		provider mydex {
			environment sandbox
			client_id a
			client_secret {env.MYDEX_CLIENT}
			connection_nid 1
			connection_token {env.MYDEX_CONNECTION}
			scopes mydex:pdx
		}
`

func withoutComments(text string) string {
	return regexp.MustCompile(`(?m)^[ \t]*#.*\n`).ReplaceAllString(text, "")
}

// pasted gives a block what a reader has and this machine does not: the files
// below /run/secrets, or among the credentials of systemd, the variables of the
// environment, and the hash of a password.
func pasted(t *testing.T, s *stack.Stack, text string) string {
	t.Helper()
	for _, name := range regexp.MustCompile(`/run/(secrets|credentials/caddy\.service)/[\w.-]+`).FindAllString(text, -1) {
		text = strings.ReplaceAll(text, name, secretFile(t, s, filepath.Base(name)))
	}
	for _, match := range regexp.MustCompile(`\{env\.(\w+)\}`).FindAllStringSubmatch(text, -1) {
		t.Setenv(match[1], variable(t, s, match[1]))
	}
	text = strings.ReplaceAll(text, "$2a$14$…", "$2a$10$vaetyXOUnisycw.AWKNYJ.ELGB0Ky.w/8qu12y0BlA/Uj0EuM8qqK")
	return strings.ReplaceAll(text, "{file.sim.pem}", "{file."+s.KeyFile+"}")
}

// secretFile makes what a file of that name would have.
func secretFile(t *testing.T, s *stack.Stack, name string) string {
	t.Helper()
	file := filepath.Join(s.Dir, name)
	var content []byte
	switch {
	case strings.Contains(name, "keyset"):
		return newKeyset(t)
	case strings.Contains(name, "pub"):
		content = publicKey(t)
	case strings.HasSuffix(name, ".crt"), strings.Contains(name, "ca.pem"):
		return s.CertFile
	case strings.HasSuffix(name, ".pem"):
		return s.KeyFile
	default:
		content = []byte(strings.Repeat("0123456789abcdef", 4))
	}
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func publicKey(t *testing.T) []byte {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// variable is what a variable of that name would have.
func variable(t *testing.T, s *stack.Stack, name string) string {
	t.Helper()
	switch {
	case name == "MDH_KEY":
		text, err := os.ReadFile(s.KeyFile)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	case name == "REDIS_URL":
		return "redis://127.0.0.1:1/0"
	case name == "DATABASE_URL":
		return "postgres://delegate@127.0.0.1:1/grants?sslmode=disable"
	case strings.HasSuffix(name, "_NID"):
		return "1"
	case name == "MDH_PROJECT_ID":
		return stack.Project
	case name == "MDH_SERVICE_ACCOUNT":
		return stack.Account
	default:
		return strings.Repeat("0123456789abcdef", 4)
	}
}

// TestDocsCaddyfilesLoad protects whoever pastes from the README and the pages
// of caddymodule/docs: every block loads as it stands, in a site and with the
// providers that it names. Left out are syntaxes, which have <words>, and the
// frame of the products' blocks, which is loaded around each of them.
func TestDocsCaddyfilesLoad(t *testing.T) {
	found := 0
	for page, text := range documents(t) {
		for _, b := range fenced(page, text, "caddyfile") {
			if excused(text)[b.line] {
				continue
			}
			if page == directivesPage && (strings.Contains(b.text, "<") || strings.Contains(b.text, "{ … }")) || b.text == productFrame() {
				continue
			}
			found++
			t.Run(b.String(), func(t *testing.T) {
				s := newStack(t)
				t.Setenv("MDH_KEY", variable(t, s, "MDH_KEY"))
				t.Setenv("MYDEX_CLIENT", variable(t, s, ""))
				t.Setenv("MYDEX_CONNECTION", variable(t, s, ""))
				whole := pasted(t, s, b.whole())
				text, err := stack.Adapt(whole)
				if err != nil {
					t.Fatalf("%v:\n%s", err, whole)
				}
				config := new(caddy.Config)
				if err := json.Unmarshal(text, config); err != nil {
					t.Fatal(err)
				}
				// Nothing of it is to be found by another test, or to wait for a network.
				config.Admin = &caddy.AdminConfig{Disabled: true}
				config.StorageRaw = json.RawMessage(`{"module":"file_system","root":` + fmt.Sprintf("%q", s.Storage) + `}`)
				if err := caddy.Validate(config); err != nil {
					t.Errorf("%v:\n%s", err, whole)
				}
			})
		}
	}
	if found < 45 {
		t.Errorf("the pages have %d blocks", found)
	}
}

// TestDocsLinks protects readers from links that lead nowhere: to a page that
// is not there, or a heading that no page has.
func TestDocsLinks(t *testing.T) {
	pages := documents(t)
	link := regexp.MustCompile(`\]\(([^)\s:]+)\)`)
	for page, text := range pages {
		for _, match := range link.FindAllStringSubmatch(text, -1) {
			path, heading, _ := strings.Cut(match[1], "#")
			target := page
			if path != "" {
				target = filepath.Join(filepath.Dir(page), path)
			}
			if _, err := os.Stat(filepath.Join("..", target)); err != nil {
				t.Errorf("%s: the link %s leads nowhere", page, match[1])
				continue
			}
			if heading == "" || !strings.HasSuffix(target, ".md") {
				continue
			}
			other, ok := pages[target]
			if ok && !hasHeading(other, heading) {
				t.Errorf("%s: %s has no heading %s", page, target, heading)
			}
		}
	}
}

func hasHeading(text, anchor string) bool {
	for line := range strings.SplitSeq(text, "\n") {
		title := strings.TrimLeft(line, "#")
		if title == line {
			continue
		}
		title = strings.ToLower(strings.TrimSpace(title))
		title = regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(title, "")
		if strings.ReplaceAll(title, " ", "-") == anchor {
			return true
		}
	}
	return false
}
