// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/caddy-delegate/caddy-delegate/integration/port"
	console "github.com/caddy-delegate/caddy-delegate/integration/simulator/connect"
	"github.com/caddy-delegate/caddy-delegate/integration/stack"
)

// renamedSource is a source that had another name before.
const renamedSource = `
		source city_lab google_health {
			client_id     app
			client_secret secret
		}
		provider study sources`

// shellBlocks are how the pages' blocks are run.
var shellBlocks = []shellBlock{
	{"README.md", "make demo", func(sh *shell, text string) { sh.run(text, "make ", "make -C "+sh.root+" -n ") }},
	{"mydatahelps.md", "delegate init mydatahelps", func(sh *shell, text string) {
		contains(sh.t, sh.run(text+"ls -l mydatahelps.pem Caddyfile"), "BEGIN PUBLIC KEY", "-rw------- ")
	}},
	{"mydatahelps.md", "delegate check", func(sh *shell, text string) {
		sh.deployed()
		page := page(sh.t, "caddymodule/docs/mydatahelps.md")
		checked(sh.t, sh.run(text), fenced("", page, "text")[0].text)
	}},
	{"mydatahelps.md", "go build ./cmd/caddy", trySimulator},
	{"mydatahelps.md", "./caddy run &", func(sh *shell, text string) {}}, // trySimulator does
	{"mydex.md", "delegate check", func(sh *shell, text string) {
		c := startMydex(sh.t, "", "")
		c.browser("alice").connect(c.mydex.Members()[0].UID)
		sh.configured(c, "")
		contains(sh.t, sh.run(text), "✓ grant ", "✓ style ", "✓ read ")
	}},
	{"mydex.md", "simulator mydex", func(sh *shell, text string) {
		number, err := port.Free()
		if err != nil {
			sh.t.Fatal(err)
		}
		at := fmt.Sprintf("127.0.0.1:%d", number)
		said := sh.run(strings.TrimRight(text, "\n")+" --listen "+at+" &\ncurl -fsS --retry 20 --retry-delay 1 --retry-all-errors http://"+at+"/_simulator/connections", "go run ./cmd/simulator", sh.simulator())
		for _, line := range regexp.MustCompile(`(?m)^\t(?:client_id|client_secret|connection_nid|connection_token) +(\S+)$`).FindAllStringSubmatch(page(sh.t, "caddymodule/docs/mydex.md"), -1) {
			contains(sh.t, said, line[1])
		}
	}},
	{"sources.md", "simulator sources", func(sh *shell, text string) {
		number, err := port.Free()
		if err != nil {
			sh.t.Fatal(err)
		}
		at := fmt.Sprintf("127.0.0.1:%d", number)
		said := sh.run(strings.TrimRight(text, "\n")+" --listen "+at+" &\ncurl -fsS --retry 20 --retry-delay 1 --retry-all-errors http://"+at+"/_simulator/modes", "go run ./cmd/simulator", sh.simulator())
		for _, line := range regexp.MustCompile(`(?m)^\t+(?:client_id|client_secret|scopes) +(simulated\S+|results.read)$`).FindAllStringSubmatch(page(sh.t, "caddymodule/docs/sources.md"), -1) {
			contains(sh.t, said, line[1])
		}
	}},
	{"connect.md", "delegate check", func(sh *shell, text string) {
		c := startConsole(sh.t, console.DeveloperConsole, "")
		c.connects(c.browser("alice"), accounts()[0])
		sh.rendered(c.Stack, c.caddyfile(""))
		contains(sh.t, sh.run(strings.TrimRight(text, "\n")+` --subject alice --route "GET /v1/human/profile" --read`), "✓ binding ", "✓ client ", "and not the client", "✓ grant ", "✓ read ")
	}},
	{"connect.md", "simulator connect", func(sh *shell, text string) {
		number, err := port.Free()
		if err != nil {
			sh.t.Fatal(err)
		}
		at := fmt.Sprintf("127.0.0.1:%d", number)
		said := sh.run(strings.TrimRight(text, "\n")+" --listen "+at+" &\ncurl -fsS --retry 20 --retry-delay 1 --retry-all-errors http://"+at+"/_simulator/applications", "go run ./cmd/simulator", sh.simulator())
		for _, line := range regexp.MustCompile(`(?m)^\t(?:client_id|client_secret) +(simulated\S+)$`).FindAllStringSubmatch(page(sh.t, "caddymodule/docs/connect.md"), -1) {
			contains(sh.t, said, line[1])
		}
	}},
	{"mydex.md", "/delegate/journeys", func(sh *shell, text string) {
		c := startMydex(sh.t, "", "cross_device")
		contains(sh.t, sh.run(curling(text, c.Admin)), `"url":"`)
	}},
	{"connect-page.md", "/delegate/journeys", func(sh *shell, text string) {
		c := startSources(sh.t, "", "cross_device")
		contains(sh.t, sh.run(curling(strings.Replace(text, "withings", "city_lab", 1), c.Admin)), `"url":"`+c.URL()+`/connect/go/city_lab.`)
	}},
	{"several-machines.md", "keyset generate", func(sh *shell, text string) { sh.run(text + "test -s keyset.json") }},
	{"recovery.md", "keyset generate", func(sh *shell, text string) { sh.run(text + "test -s keyset.json") }},
	{"several-machines.md", "keyset rotate", func(sh *shell, text string) {
		sh.run("caddy delegate keyset generate keyset.json")
		contains(sh.t, sh.run(text), "Staged a new key", "The staged key")
	}},
	{"grants.md", ".backup", func(sh *shell, text string) {
		server, _ := postgresGrants(sh.t)
		sh.t.Setenv("DATABASE_URL", os.Getenv("DATABASE"))
		sh.t.Setenv("PATH", filepath.Dir(server.Program("pg_dump"))+":"+os.Getenv("PATH"))
		sh.run("sqlite3 grants.db 'create table t (x)'\n" + text + "test -s grants.backup.db -a -s grants.dump")
	}},
	{"grants.md", "grants list", func(sh *shell, text string) {
		c := startMydex(sh.t, renamedSource, "")
		for i, user := range []string{"alice", "bob"} {
			c.browser(user).connect(c.mydex.Members()[i].UID)
		}
		sh.configured(c, renamedSource)
		var list []struct{ ID string }
		if err := json.Unmarshal([]byte(sh.run("caddy delegate grants list --json 2>/dev/null")), &list); err != nil || len(list) != 2 {
			sh.t.Fatalf("%v %+v", err, list)
		}
		said := sh.run(text, "rename <old> <new>", "rename mydex mydex_live --config renamed --adapter caddyfile", "<id>", list[0].ID)
		contains(sh.t, said, `"subject":"alice"`, "release", "move", "delete")
	}},
	{"grants.md", "grants doubt", func(sh *shell, text string) {
		sh.configured(startMydex(sh.t, "", ""), "")
		contains(sh.t, sh.run(text), "The refresh tokens of 0 grants are in doubt")
	}},
	{"grants.md", "grants import", func(sh *shell, text string) {
		c := startSources(sh.t, "", "")
		sh.rendered(c.Stack, c.caddyfileOf("", ""))
		sh.write("tokens.jsonl", importLine("alice", accountID(0), c.teamToken(0)))
		contains(sh.t, sh.run(text, "study/withings", "study/city_lab"), "line 1: valid", "line 1: imported", "in short: 1 imported")
	}},
	{"grants.md", "# once; and wait", func(sh *shell, text string) {
		sh.run("caddy delegate keyset generate keyset.json")
		lines := "\n\t\tkeyset {file." + sh.dir + "/keyset.json}\n\t\tgrants sqlite " + filepath.Join(sh.dir, "grants.db")
		c := startMydex(sh.t, lines, "")
		c.browser("alice").connect(c.mydex.Members()[0].UID)
		sh.configured(c, lines)
		contains(sh.t, sh.run(text), "Sealed 2 grants")
	}},
	{"operations.md", "list-modules", func(sh *shell, text string) {
		build := regexp.MustCompile(`(?m)^CGO_ENABLED=0 go build .* ./cmd/caddy$`).FindString(text)
		contains(sh.t, sh.run(text, build, "(cd "+sh.root+" && go list ./cmd/caddy)"), "http.handlers.app_session", "admin.api.delegate")
	}},
	{"operations.md", "openssl genrsa", func(sh *shell, text string) {
		example, err := os.ReadFile(filepath.Join(sh.root, "Caddyfile.example"))
		if err != nil {
			sh.t.Fatal(err)
		}
		sh.write("Caddyfile.example", string(example))
		contains(sh.t, sh.run(text), "Valid configuration")
	}},
	{"operations.md", "/delegate/purge", func(sh *shell, text string) {
		s := start(sh.t, administered(proxied("", "")))
		signIn(sh.t, s, "alice").get(participantPath).want(sh.t, http.StatusOK, "")
		said := sh.run(curling(text, s.Admin))
		contains(sh.t, said, `"kind":"mydatahelps"`, `"complete":true`, `"lookups":1`)
		if strings.Count(said, `"purged":["mydatahelps"]`) != 3 {
			sh.t.Error(said)
		}
	}},
	{"troubleshooting.md", "delegate check", func(sh *shell, text string) {
		sh.deployed()
		contains(sh.t, sh.run(text), "✓ scopes ", "✓ read ")
	}},
	{"troubleshooting.md", "delegate session", func(sh *shell, text string) {
		l, s := newLogin(sh.t), newStack(sh.t)
		sh.rendered(s, l.caddyfile(""))
		sh.write("credential.txt", l.session("alice", nil))
		contains(sh.t, sh.run(text), "✓ session ")
	}},
	{"troubleshooting.md", "openssl pkey", func(sh *shell, text string) {
		sh.write("public.pem", string(publicKey(sh.t)))
		if said := sh.run(text); !regexp.MustCompile(`[0-9a-f]{64}\n$`).MatchString(said) {
			sh.t.Error(said)
		}
	}},
	{"troubleshooting.md", "curl -i -b", func(sh *shell, text string) {
		s := newStack(sh.t)
		session := s.App.SignIn("alice", time.Time{})
		contains(sh.t, sh.run(text, "app:3000", s.AppAddr, "session=…", stack.CookieName+"="+session), " 200 OK", "Remote-User: alice")
	}},
	{"troubleshooting.md", "grants rename", func(sh *shell, text string) {
		c := startMydex(sh.t, renamedSource, "")
		c.browser("alice").connect(c.mydex.Members()[0].UID)
		sh.configured(c, renamedSource)
		contains(sh.t, sh.run(text+"caddy delegate grants list", "rename mydex mydex_live", "rename mydex mydex_live --config renamed --adapter caddyfile"), "mydex_live !", "alice")
	}},
	{"CONTRIBUTING.md", "go test", testLines},
	{"frontend.md", "--public-url https://mydatahelps.org", func(sh *shell, text string) {
		number, err := port.Free()
		if err != nil {
			sh.t.Fatal(err)
		}
		text = strings.TrimRight(text, "\n") + " >simulator.log &\n" +
			"curl -sS -o /dev/null -w '%{http_code}' --retry 20 --retry-delay 1 --retry-all-errors --cacert sim-cert.pem --connect-to mydatahelps.org:443:127.0.0.1:8443 https://mydatahelps.org/"
		contains(sh.t, sh.run(text, "go run ./cmd/simulator", sh.simulator(), "127.0.0.1:8443", fmt.Sprintf("127.0.0.1:%d", number)), "404")
	}},
}

// testLines runs what costs little of lines that run tests, and wants the rest to
// name what is there: a test that runs itself would not end.
func testLines(sh *shell, text string) {
	all := declaredTests(sh.t)
	for line := range strings.Lines(text) {
		switch match := regexp.MustCompile(`^go test (\./\S+)(?: -run '(Test\w+)(?:/(\w+))?)?`).FindStringSubmatch(line); {
		case match == nil:
			sh.run(line, "make ", "make -C "+sh.root+" ")
		case match[2] == "":
			sh.run("cd " + sh.root + "\n" + line)
		case !strings.Contains(all, "\n"+match[2]+"\n"):
			sh.t.Errorf("there is no %s", match[2])
		case match[2] == "TestAdapt":
			if _, err := os.Stat("caddyfile_adapt/" + match[3] + ".caddyfiletest"); err != nil {
				sh.t.Error(err)
			}
		default:
			contains(sh.t, page(sh.t, "caddymodule/docs/sessions.md"), "\n### "+match[3]+"\n")
		}
	}
}

// rendered gives the shell a stack's Caddyfile.
func (sh *shell) rendered(s *stack.Stack, caddyfile string) {
	sh.t.Helper()
	text, err := s.Render(caddyfile)
	if err != nil {
		sh.t.Fatal(err)
	}
	sh.write("Caddyfile", text)
}

// deployed gives the shell the Caddyfile of a stack that runs.
func (sh *shell) deployed() {
	sh.t.Helper()
	sh.rendered(newStack(sh.t), strings.Replace(proxied("", ""), "admin off\n", "", 1))
}

// configured gives the shell the Caddyfile of a Mydex that runs, and one in which
// its provider was renamed.
func (sh *shell) configured(c *connection, lines string) {
	sh.t.Helper()
	sh.rendered(c.Stack, c.caddyfile(lines, ""))
	text, err := os.ReadFile(filepath.Join(sh.dir, "Caddyfile"))
	if err != nil {
		sh.t.Fatal(err)
	}
	sh.write("renamed", regexp.MustCompile(`(provider|delegate_proxy|delegate_connect) mydex \{`).ReplaceAllStringFunc(string(text), func(line string) string {
		if strings.HasPrefix(line, "provider") {
			return "provider mydex_live mydex {"
		}
		return strings.Replace(line, "mydex", "mydex_live", 1)
	}))
}

// trySimulator does what the page says, from the simulator to an answer: on other
// ports, and with a caddy that is built already.
func trySimulator(sh *shell, text string) {
	page := page(sh.t, "caddymodule/docs/mydatahelps.md")
	_, after, _ := strings.Cut(page, text+"```\n")
	sh.write("Caddyfile", fenced("", after, "caddyfile")[0].text)
	all := strings.TrimRight(text, "\n") + " &\n" + fenced("", after, "sh")[0].text
	platform, err := port.Free()
	if err != nil {
		sh.t.Fatal(err)
	}
	site, err := port.Free()
	if err != nil {
		sh.t.Fatal(err)
	}
	caddyfile := sh.run("cat Caddyfile")
	caddyfile = strings.NewReplacer(":8080", fmt.Sprintf(":%d", platform), ":8400", fmt.Sprintf(":%d", site), "{\n\tdelegate {", "{\n\tadmin off\n\tpersist_config off\n\tdelegate {").Replace(caddyfile)
	sh.write("Caddyfile", caddyfile)
	all = regexp.MustCompile(`(?m) +#.*&$`).ReplaceAllString(all, " &") // the line keeps running
	said := sh.run(all,
		"go build ./cmd/caddy", "(cd "+sh.root+" && go list ./cmd/caddy)",
		"go run ./cmd/simulator mydatahelps", sh.simulator()+fmt.Sprintf(" mydatahelps --listen 127.0.0.1:%d", platform),
		"./caddy run &", "while ! test -s sim.pem; do sleep 0.1; done\n./caddy run &",
		"curl -u", "curl -fsS --retry 30 --retry-delay 1 --retry-all-errors -u",
		":8400", fmt.Sprintf(":%d", site))
	contains(sh.t, said, `"participantIdentifier":"AA-0000-0001"`)
}
