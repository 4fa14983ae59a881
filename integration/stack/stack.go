// SPDX-License-Identifier: Apache-2.0

// Package stack runs the whole way of a request on one machine: a simulated
// platform, a Caddy with the delegate modules, and a small app that users
// sign in to. Tests and the demo use it.
package stack

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"text/template"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/standard" // so that any Caddyfile works

	_ "github.com/caddy-delegate/caddy-delegate/caddymodule"
	"github.com/caddy-delegate/caddy-delegate/integration/port"
	"github.com/caddy-delegate/caddy-delegate/integration/simulator"
)

// The operator's account at the simulated platform.
const (
	Account = "MyDataHelps.12345.demo"
	Project = "5f1d2c3b-0000-4000-8000-00000000a001"
)

// Two participants whose identifiers are the app's user names.
var (
	Alice = simulator.Participant{ID: "aaaaaaaa-1111-4111-8111-111111111111", Identifier: "alice", FirstName: "Alice", LastName: "Example"}
	Bob   = simulator.Participant{ID: "bbbbbbbb-2222-4222-8222-222222222222", Identifier: "bob", FirstName: "Bob", LastName: "Example"}
)

// Stack is the running parts around Caddy. Its exported fields are also what a
// Caddyfile template may name.
type Stack struct {
	Platform    *simulator.MyDataHelps
	PlatformURL string
	MydexURL    string            // of a simulated Mydex; empty unless the caller serves one
	HealthURL   string            // of a simulated data platform with a Connect widget; empty unless the caller serves one
	VendorURLs  map[string]string // of simulated vendors of data, by source; empty unless the caller serves them
	App         *App
	AppAddr     string // host:port
	KeyFile     string
	CertFile    string // for https on localhost, with its key
	CertKeyFile string
	Dir         string
	Port        int    // free for Caddy
	Admin       string // socket of Caddy's admin endpoint, where a Caddyfile has it
	Storage     string

	servers     []*httptest.Server
	loaded      bool
	loads       int
	interceptor atomic.Pointer[func(http.ResponseWriter, *http.Request, http.Handler)]
	turn        sync.Mutex
}

// New starts platform and app in front of which a Caddy can be loaded. Files
// go to dir. Close ends it.
func New(dir string, participants ...simulator.Participant) (*Stack, error) {
	s := &Stack{
		Dir:         dir,
		KeyFile:     filepath.Join(dir, "service-account.pem"),
		CertFile:    filepath.Join(dir, "localhost.pem"),
		CertKeyFile: filepath.Join(dir, "localhost-key.pem"),
		Storage:     filepath.Join(dir, "caddy"),
		Admin:       filepath.Join(dir, "admin.sock"),
		App:         NewApp(),
	}
	// Where grants are kept by default: no test finds another's.
	if err := os.Setenv("XDG_DATA_HOME", filepath.Join(dir, "data")); err != nil {
		return nil, err
	}
	if err := s.writeCertificate(); err != nil {
		return nil, err
	}
	if len(participants) == 0 {
		participants = []simulator.Participant{Alice, Bob}
	}
	s.Platform = simulator.NewMyDataHelps(simulator.Options{
		Account: Account, ProjectID: Project, Participants: participants,
	})
	if err := s.Rotate(); err != nil {
		return nil, err
	}
	platform := s.serve(http.HandlerFunc(s.platform))
	s.PlatformURL = platform.URL
	app := s.serve(s.App)
	s.AppAddr = app.Listener.Addr().String()
	var err error
	s.Port, err = port.Free()
	return s, err
}

// Rotate replaces the service account's key, in its file and at the platform,
// which accepts the old one no more.
func (s *Stack) Rotate() error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	s.Platform.SetKeys(&key.PublicKey)
	return writePEM(s.KeyFile, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key))
}

func (s *Stack) serve(h http.Handler) *httptest.Server {
	server := httptest.NewServer(h)
	s.servers = append(s.servers, server)
	return server
}

// Close ends platform and app, and Caddy if it runs.
func (s *Stack) Close() {
	_ = caddy.Stop()
	for _, server := range s.servers {
		server.CloseClientConnections()
		server.Close()
	}
}

// URL is where Caddy listens with the Caddyfiles of this package: http on loopback.
func (s *Stack) URL() string { return fmt.Sprintf("http://127.0.0.1:%d", s.Port) }

// Render fills a Caddyfile template in with the stack's addresses.
func (s *Stack) Render(text string) (string, error) {
	tmpl, err := template.New("Caddyfile").Delims("[[", "]]").Parse(text)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	err = tmpl.Execute(&out, s)
	return out.String(), err
}

// Load renders a Caddyfile template and has this process's Caddy run it. From
// the second time on it takes another port: on the same one the kernel may
// give a connection to the server that is just going away. If that fails, the
// old configuration and its port stay.
func (s *Stack) Load(text string) error {
	old := s.Port
	if s.loaded {
		var err error
		if s.Port, err = port.Free(); err != nil {
			return err
		}
	}
	if err := s.Reload(text); err != nil {
		s.Port = old
		return err
	}
	s.loaded = true
	return nil
}

// Reload is Load on the same port, as operators do it. The admin endpoint moves
// all the same: Caddy ends the old one later, with the requests that it took.
func (s *Stack) Reload(text string) (err error) {
	old := s.Admin
	defer func() {
		if err != nil {
			s.Admin = old
		}
	}()
	s.loads++
	s.Admin = filepath.Join(s.Dir, fmt.Sprintf("admin-%d.sock", s.loads))
	rendered, err := s.Render(text)
	if err != nil {
		return err
	}
	config, err := Adapt(rendered)
	if err != nil {
		return err
	}
	return caddy.Load(config, true)
}

// Restart is Load with a Caddy that remembers nothing.
func (s *Stack) Restart(text string) error {
	if err := caddy.Stop(); err != nil {
		return err
	}
	return s.Load(text)
}

// Adapt turns a Caddyfile into JSON.
func Adapt(text string) ([]byte, error) {
	adapter := caddyfile.Adapter{ServerType: httpcaddyfile.ServerType{}}
	config, _, err := adapter.Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	return config, err
}

// Options are the global options of every Caddyfile of this package: nothing
// outside the stack's folder, nothing on a fixed port.
const Options = `
	admin off
	default_bind 127.0.0.1
	persist_config off
	auto_https off
	skip_install_trust
	grace_period 1s
	storage file_system [[.Storage]]
`

// Provider is the provider block that fits the stack's platform.
const Provider = `
		provider mydatahelps {
			base_url        [[.PlatformURL]]
			project         ` + Project + `
			service_account ` + Account + `
			private_key     {file.[[.KeyFile]]}
			scopes          api Participant:read SurveyAnswers:read SurveyTasks:read Project:read
			participant_identifier
		}
`

// SignIn has the app answer who is signed in, before every delegate directive.
const SignIn = `
		@private not method OPTIONS
		forward_auth @private [[.AppAddr]] {
			uri /auth
		}
`

// Caddyfile is the usual setting: the app at /, its session checked by
// forward_auth, the platform at /mdh/ and tokens at /mdh-token.
const Caddyfile = `{` + Options + `
	delegate {` + Provider + `
	}
}

http://127.0.0.1:[[.Port]] {
	handle_path /mdh/* {` + SignIn + `
		delegate_proxy mydatahelps {
			subject {rp.header.Remote-User}
		}
	}
	handle /mdh-token {` + SignIn + `
		delegate_token mydatahelps {
			subject {rp.header.Remote-User}
			session_expires {rp.header.Session-Expires}
		}
	}
	handle {
		reverse_proxy [[.AppAddr]]
	}
}
`

// InTurn has the race detector know that what a test did before a request comes
// before what Intercept's function does in it, and that before what the test
// does then: of datagrams, which HTTP/3 uses, it knows nothing.
func (s *Stack) InTurn() {
	s.turn.Lock()
	defer s.turn.Unlock()
}

// Intercept has f answer what is sent to the platform. f may hand a request
// on to the platform itself.
func (s *Stack) Intercept(f func(w http.ResponseWriter, r *http.Request, platform http.Handler)) {
	s.interceptor.Store(&f)
}

func (s *Stack) platform(w http.ResponseWriter, r *http.Request) {
	if f := s.interceptor.Load(); f != nil {
		s.InTurn()
		defer s.InTurn()
		(*f)(w, r, s.Platform)
		return
	}
	s.Platform.ServeHTTP(w, r)
}
