// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

// maxCredentialFile is more than the headers of any request.
const maxCredentialFile = 256 << 10

func sessionCommand(b Backend) *cobra.Command {
	var (
		config Config
		file   string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "session",
		Short: "Tells why a credential is a session, or why it is none",
		Long: `
Reads one credential from standard input, or from the file of --file, and judges
it by each app_session of a configuration, which is not run. It says claim by
claim what is right and what is not, which setting would change that, and what
subject, realm and end come out.

The credential is the value of the cookie, or the token; or cookies with their
names (name.0=…; name.1=… of one that comes in pieces); or the headers of a
request as the developer tools of a browser copy them, of which Cookie and
Authorization count:

  pbpaste | caddy delegate session --config Caddyfile

It is no argument of the command, because other users of the machine can read
those. Where the issuer or the app is asked about sessions, they are asked. The
credential is not printed, nor is what it says of the person but the subject.

It ends with code 0 if one app_session takes the credential.`,
		Args: cobra.NoArgs,
	}
	config.flags(cmd.Flags())
	cmd.Flags().StringVar(&file, "file", "", "The file of the credential; default: standard input")
	cmd.Flags().BoolVar(&asJSON, "json", false, "Print JSON")
	cmd.RunE = caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) {
		ctx, cancel := context.WithTimeout(cmd.Context(), checkTimeout)
		defer cancel()
		text, err := readCredential(file, cmd.InOrStdin())
		if err != nil {
			return caddy.ExitCodeFailedStartup, err
		}
		err = printJudgment(ctx, b, config, text, asJSON, cmd.OutOrStdout())
		if errors.Is(err, errFailed) {
			err = errors.New("no app_session takes it: see where it says ✗, or ok is false")
		}
		if err != nil {
			return caddy.ExitCodeFailedStartup, err
		}
		return caddy.ExitCodeSuccess, nil
	})
	return cmd
}

// readCredential reads the credential from a file, or from standard input if the
// name is empty.
func readCredential(file string, stdin io.Reader) (string, error) {
	in := stdin
	if file != "" {
		f, err := os.Open(file)
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

// printJudgment judges and prints. One app_session that takes the credential is
// enough.
func printJudgment(ctx context.Context, b Backend, config Config, text string, asJSON bool, out io.Writer) error {
	r := newReport(out, asJSON)
	if err := b.Judge(ctx, config, text, r); err != nil {
		return err
	}
	if len(r.Parts) == 0 {
		return errors.New("the configuration has no app_session: with another authenticator ask that one, such as `curl -i` at the address of forward_auth")
	}
	taken := slices.ContainsFunc(r.Parts, func(p *Part) bool { return p.OK })
	if asJSON {
		type judged struct {
			Title    string           `json:"app_session"`
			OK       bool             `json:"ok"`
			Findings []PrintedFinding `json:"findings"`
		}
		all := make([]judged, len(r.Parts))
		for i, p := range r.Parts {
			all[i] = judged{p.Title, p.OK, p.Findings}
		}
		if err := json.NewEncoder(out).Encode(map[string]any{"ok": taken, "sessions": all}); err != nil {
			return err
		}
	}
	if !taken {
		return errFailed
	}
	return nil
}
