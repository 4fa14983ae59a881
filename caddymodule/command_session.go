// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/session"
)

// maxCredentialFile is more than the headers of any request.
const maxCredentialFile = 256 << 10

// credentialCheck is what the command was asked.
type credentialCheck struct {
	config, adapter string
	file            string // empty: standard input
	json            bool
}

func sessionCommand() *cobra.Command {
	var c credentialCheck
	cmd := &cobra.Command{
		Use:   "session",
		Short: "Tells why a credential is a session, or why it is none",
		Long: `
Reads one credential from standard input, or from the file of --file, and judges
it by each app_session of a configuration, which is not run. It says claim by
claim what is right and what is not, which setting would change that, and what
subject, realm and end come out.

The credential is the value of the cookie, or the token; or the headers of a
request as the developer tools of a browser copy them, of which Cookie and
Authorization count:

  pbpaste | caddy delegate session --config Caddyfile

It is no argument of the command, because other users of the machine can read
those. Where the issuer or the app is asked about sessions, they are asked. The
credential is not printed, nor is what it says of the person but the subject.

It ends with code 0 if one app_session takes the credential.`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().StringVarP(&c.config, "config", "c", "", "The configuration file; default: Caddyfile in this folder")
	cmd.Flags().StringVarP(&c.adapter, "adapter", "a", "", "The adapter, if it is no Caddyfile or JSON")
	cmd.Flags().StringVar(&c.file, "file", "", "The file of the credential; default: standard input")
	cmd.Flags().BoolVar(&c.json, "json", false, "Print JSON")
	cmd.RunE = caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) {
		ctx, cancel := context.WithTimeout(cmd.Context(), checkTimeout)
		defer cancel()
		text, err := c.read(cmd.InOrStdin())
		if err != nil {
			return caddy.ExitCodeFailedStartup, err
		}
		ok, err := c.run(ctx, text, cmd.OutOrStdout())
		if err == nil && !ok {
			err = errors.New("no app_session takes it: see where it says ✗, or ok is false")
		}
		if err != nil {
			return caddy.ExitCodeFailedStartup, err
		}
		return caddy.ExitCodeSuccess, nil
	})
	return cmd
}

// read reads the credential.
func (c *credentialCheck) read(stdin io.Reader) (string, error) {
	in := stdin
	if c.file != "" {
		f, err := os.Open(c.file)
		if err != nil {
			return "", err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxCredentialFile+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("reading the credential: %w", err)
	case len(text) > maxCredentialFile:
		return "", errors.New("there is more than the headers of a request: give the value of the cookie, or the token, alone")
	case strings.TrimSpace(string(text)) == "":
		return "", errors.New("there is no credential: give the cookie's value, the token or the request's headers by standard input or --file")
	}
	return strings.TrimSpace(string(text)), nil
}

// requestHeaders are the headers of a request with the credential. A text that
// is none is the value of the cookie, or of a Bearer where there is none.
func requestHeaders(text string, s *AppSession) http.Header {
	h := make(http.Header)
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(line, ":")
		name = http.CanonicalHeaderKey(strings.TrimSpace(name))
		if ok && (name == "Cookie" || name == "Authorization") {
			h.Add(name, strings.TrimSpace(value))
		}
	}
	switch {
	case len(h) > 0:
	case s.Cookie != "":
		h.Set("Cookie", s.Cookie+"="+text)
	default:
		h.Set("Authorization", "Bearer "+text)
	}
	return h
}

// run judges the credential by each app_session, prints, and tells whether one
// of them takes it.
func (c *credentialCheck) run(ctx context.Context, text string, out io.Writer) (ok bool, err error) {
	l, err := load(c.config, c.adapter)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, l.app.Cleanup()) }()
	type judged struct {
		Title    string  `json:"app_session"`
		OK       bool    `json:"ok"`
		Findings []found `json:"findings"`
	}
	all := []judged{}
	for s, err := range l.sessions() {
		if err != nil {
			return false, err
		}
		r := &report{ok: true}
		if !c.json {
			r.out = out
		}
		r.begin(s.title())
		s.judge(ctx, requestHeaders(text, s), r.tell)
		ok = ok || r.ok
		all = append(all, judged{s.title(), r.ok, r.list})
	}
	if len(all) == 0 {
		return false, errors.New("the configuration has no app_session: with another authenticator ask that one, such as `curl -i` at the address of forward_auth")
	}
	if c.json {
		err = json.NewEncoder(out).Encode(map[string]any{"ok": ok, "sessions": all})
	}
	return ok, err
}

// title names an app_session by its settings.
func (s *AppSession) title() string {
	var where []string
	if s.Cookie != "" {
		where = append(where, "cookie "+s.Cookie)
	}
	if s.Bearer {
		where = append(where, "bearer")
	}
	return fmt.Sprintf("app_session: %s, %s", strings.Join(where, " or "), s.describeVerifier())
}

// judge tells what is right and wrong with what a request carries.
func (s *AppSession) judge(ctx context.Context, h http.Header, tell func(delegation.Finding)) {
	credential, err := s.extractor.Extract(h)
	if err != nil {
		tell(delegation.Finding{Step: "credential", Detail: delegation.Explain(err)})
		return
	}
	tell(delegation.Finding{Step: "credential", Detail: map[session.Source]string{
		session.InCookie: "in the cookie " + s.Cookie, session.InBearer: "in Authorization: Bearer",
	}[credential.Source], OK: true})
	for _, f := range session.Explain(ctx, s.verifier, credential) {
		tell(delegation.Finding{Step: f.Name, Detail: f.Detail, OK: f.OK, Skipped: f.Skipped})
	}
	verified, err := s.verifier.Verify(ctx, credential)
	if err != nil {
		tell(delegation.Finding{Step: "session", Detail: delegation.Explain(err)})
		return
	}
	end := "an end that nobody told"
	if !verified.Expires.IsZero() {
		end = "until " + verified.Expires.UTC().Format(time.RFC3339)
	}
	realm := s.Realm
	if realm == "" {
		realm = verified.Realm
	}
	tell(delegation.Finding{Step: "session", Detail: fmt.Sprintf("subject %s, realm %s, %s",
		delegation.Printable(verified.Subject, 200), delegation.Printable(realm, 200), end), OK: true})
	tell(delegation.Finding{Step: "sign-out", Detail: "the servers that run know who has signed out, this command does not", Skipped: true})
}
