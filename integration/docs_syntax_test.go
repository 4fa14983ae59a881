// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"go/ast"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// setting is a word of the Caddyfile, with what may stand in its block.
type setting struct {
	word  string
	head  string // the line as a Caddyfile has it, up to the block
	block []*setting
}

func (s *setting) find(word string) *setting {
	if i := slices.IndexFunc(s.block, func(c *setting) bool { return c.word == word }); i >= 0 {
		return s.block[i]
	}
	return nil
}

// syntax is what the blocks with <words> say, by the first word; of providers by
// their kind. `{ … }` stands for the block that has that name.
func syntax(t *testing.T, text string) map[string]*setting {
	t.Helper()
	all := make(map[string]*setting)
	for _, b := range fenced(directivesPage, text, "caddyfile") {
		if !strings.Contains(b.text, "<") && !strings.Contains(b.text, "{ … }") {
			continue
		}
		root := new(setting)
		path := []*setting{root}
		for line := range strings.SplitSeq(b.text, "\n") {
			line, _, _ = strings.Cut(strings.TrimSpace(line), "# ")
			line = strings.TrimSpace(line)
			in := path[len(path)-1]
			switch {
			case line == "":
			case line == "}":
				path = path[:len(path)-1]
			case line == "{": // global options
				path = append(path, in)
			default:
				head, open := strings.CutSuffix(line, " {")
				head, elsewhere := strings.CutSuffix(head, " { … }")
				word, _, _ := strings.Cut(head, " ")
				s := in.find(word)
				if s == nil {
					s = &setting{word: word, head: head}
					in.block = append(in.block, s)
				}
				if elsewhere {
					s.head += " …" // compareBlock looks there
				}
				if open {
					s.head = head
					path = append(path, s)
				}
			}
		}
		if len(path) != 1 {
			t.Fatalf("%s: the braces do not match", b)
		}
		for _, s := range root.block {
			name := s.word
			if kind := regexp.MustCompile(`^provider <name> \[(\w+)\]`).FindStringSubmatch(s.head); kind != nil {
				name = "provider " + kind[1]
			}
			if name == "delegate" && !strings.Contains(s.head, "<") {
				name = "global delegate"
			}
			if name == "reverse_proxy" {
				continue // Caddy's
			}
			if all[name] != nil {
				t.Errorf("%s: the syntax of %s stands twice", b, name)
			}
			all[name] = s
		}
	}
	return all
}

// parserAt is where a word may stand: what is before it in a Caddyfile, and after.
type parserAt struct{ before, after string }

// nonsense is no word of anybody.
const nonsense = "zzqxzz"

// in is the parserAt in a block that stands at this place.
func (p parserAt) in(head string) parserAt {
	return parserAt{p.before + head + " {\n", "\n}\n" + p.after}
}

func (p parserAt) try(line string) string {
	_, err := stack.Adapt(p.before + line + p.after)
	if err == nil {
		return ""
	}
	return err.Error()
}

// isBlock tells whether a parser looks at the words in there.
func (p parserAt) isBlock() bool { return strings.Contains(p.try(nonsense), nonsense) }

// knows tells whether the parser of this place knows a word: whether it says
// anything else of it than of a nonsense in its stead, and not that it does not
// know it once it has read the values.
func (p parserAt) knows(word string) bool {
	known := false
	for _, values := range []string{"", " 1h", " 1h 1h"} {
		unknown, ok := unknowns[p][values]
		if !ok {
			unknown = p.try(nonsense + values)
			if unknowns[p] == nil {
				unknowns[p] = make(map[string]string)
			}
			unknowns[p][values] = unknown
		}
		switch {
		case p.try(word+values) != strings.ReplaceAll(unknown, nonsense, word):
			known = true
		case strings.Contains(unknown, "unrecognized"):
			return false
		}
	}
	return known
}

// unknowns are what parsers say of the nonsense, with these values.
var unknowns = make(map[parserAt]map[string]string)

// words are all that the parser of this place knows, of those that stand in the
// source: a parser cannot know another one.
func (p parserAt) words(t *testing.T) (all []string) {
	t.Helper()
	for _, word := range sourceCode(t).literals {
		// Caddy's own import may stand anywhere.
		if isWord.MatchString(word) && word != "import" && p.knows(word) {
			all = append(all, word)
		}
	}
	return all
}

var isWord = regexp.MustCompile(`^[a-z][a-z0-9_]*[a-z0-9]$`)

// compare wants a page to have the words of a place, and no others. Words that
// are for somebody else are ours only if also says so.
func compare(t *testing.T, name string, at parserAt, page *setting, described string, all map[string]*setting, theirs func(string) bool) {
	t.Helper()
	for _, word := range at.words(t) {
		// A word may be read to be refused, whatever its value: then a sentence says so.
		refused := regexp.MustCompile("`" + word + "`[^.|\n]* do(es)? not load").MatchString(described)
		if page.find(word) == nil && !refused && !theirs(word) {
			t.Errorf("%s: the parser knows %s, and the page does not", name, word)
		}
	}
	for _, s := range page.block {
		if !at.knows(s.word) {
			t.Errorf("%s: the page has %s, and no parser knows it", name, s.word)
		}
		// In the first cell of a row, or as the subject of a paragraph.
		if !regexp.MustCompile("(?m)^(\\|[^|]*)?`"+s.word+"`").MatchString(described) && !theirs(s.word) {
			t.Errorf("%s: %s is not described", name, s.word)
		}
		compareBlock(t, name+" "+s.word, at, s, described, all)
	}
}

// compareBlock is compare for the block of a setting, if it has one.
func compareBlock(t *testing.T, name string, at parserAt, s *setting, described string, all map[string]*setting) {
	t.Helper()
	if strings.HasPrefix(s.head, "provider ") && len(s.block) == 0 {
		return // each kind has its own
	}
	head := regexp.MustCompile(`<[^>]*>|…`).ReplaceAllString(s.head, "https://example.org")
	if strings.HasSuffix(s.head, " …") {
		s, head = all[s.word], s.word
		if s == nil {
			t.Errorf("%s: the page has no block of that name", name)
			return
		}
	}
	if words := strings.Fields(s.head); len(words) > 1 && words[1] == "http" && s.word == "transport" {
		return // Caddy's
	}
	open := at.in(head)
	if !open.isBlock() {
		open = at.in(s.word)
	}
	switch {
	case open.isBlock():
		compare(t, name, open, s, described, all, func(string) bool { return false })
	case len(s.block) > 0:
		t.Errorf("%s: the page gives it a block, and the parser does not", name)
	}
}

// withProvider are global options with a provider of each name.
const withProvider = `{
	delegate {
		provider a mydatahelps {
			project p
			service_account s
			private_key k
			scopes s
			participant_identifier
		}
	}
}
`

// part is the text under a heading, without its blocks; below it are the
// sections of a lower rank.
func part(text, heading string) string {
	_, text, _ = strings.Cut(text, "\n## "+heading+"\n")
	text, _, _ = strings.Cut(text, "\n## ")
	return fences.ReplaceAllString(text, "")
}

// TestDirectivesPage protects who looks a setting up: the page has all that the
// parsers know, and nothing else.
func TestDirectivesPage(t *testing.T) {
	text := documents(t)[directivesPage]
	all := syntax(t, text)
	none := func(string) bool { return false }
	shared := part(text, "Settings of several directives") + part(text, "`http`")
	want := []string{"http", "source"}

	global := parserAt{"{\ndelegate {\n", "\n}\n}\n"}
	for _, call := range sourceCode(t).calls("RegisterGlobalOption", "RegisterDirective", "RegisterHandlerDirective") {
		name, ok := literal(call.Args[0])
		if !ok {
			t.Fatalf("what %v registers cannot be read", call.Fun)
		}
		page, described := name, part(text, "`"+name+"`")+shared
		at := parserAt{withProvider + ":1 {\n", "\n}\n"}
		for _, head := range []string{name, name + " a"} {
			if in := at.in(head); in.isBlock() {
				at = in
				break
			}
		}
		theirs := none
		switch {
		case call.Fun.(*ast.SelectorExpr).Sel.Name == "RegisterGlobalOption":
			page, at, described = "global "+name, global, part(text, "Global option `"+name+"`")+part(text, "`source`")+part(text, "`http`")
		case name == "delegate":
			described += part(text, "`delegate_proxy`")
		case name == "delegate_proxy":
			proxy := parserAt{":1 {\nreverse_proxy {\n", "\n}\n}\n"}
			theirs = proxy.knows
		}
		want = append(want, page)
		if all[page] == nil {
			t.Errorf("the page has no syntax of %s", page)
			continue
		}
		compare(t, page, at, all[page], described, all, theirs)
	}
	for _, module := range caddy.GetModules("delegate.providers") {
		kind := module.ID.Name()
		if !strings.Contains(strings.Join(sourceCode(t).literals, "\n"), string(module.ID)) {
			continue // of a test
		}
		name := "provider " + kind
		want = append(want, name)
		if all[name] == nil {
			t.Errorf("the page has no syntax of %s", name)
			continue
		}
		compare(t, name, global.in("provider a "+kind), all[name], part(text, "`"+name+"`")+shared, all, none)
	}
	for name := range all {
		if !slices.Contains(want, name) {
			t.Errorf("the page has a syntax of %s, and nobody reads that", name)
		}
	}
}
