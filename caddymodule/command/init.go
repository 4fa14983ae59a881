// SPDX-License-Identifier: Apache-2.0

package command

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

// initBits are what MyDataHelps' own key pairs have.
const initBits = 2048

// initCaddyfile is where an operator begins. What is in angle brackets is
// filled in.
const initCaddyfile = `{
	delegate {
		provider mydatahelps {
			# The project's ID and the service account's name, from Designer.
			project <project>
			service_account <account>
			private_key {file.<key>}

			# What a participant's token may do, at most.
			scopes Participant:read

			# The app's user ID is the participant's participantIdentifier.
			participant_identifier
		}
	}
}

# The address of your app.
localhost {
	# The platform's API at /mdh/, for whoever is signed in to the app.
	handle_path /mdh/* {
		@session not method OPTIONS
		# Your app answers GET /auth with 200 and Remote-User, or 401.
		forward_auth @session 127.0.0.1:3000 {
			uri /auth
			header_up X-Forwarded-Uri /mdh{uri}
			transport http {
				dial_timeout 2s
				response_header_timeout 5s
			}
		}
		delegate_proxy mydatahelps {
			subject {rp.header.Remote-User}
		}
	}

	# The app itself.
	handle {
		reverse_proxy 127.0.0.1:3000
	}
}
`

func initCommand() *cobra.Command {
	var folder, project, account string
	cmd := &cobra.Command{
		Use:   "mydatahelps",
		Short: "Makes a key pair and a Caddyfile for MyDataHelps",
		Long: `
Makes a key pair for a service account at MyDataHelps, on this machine, and a
Caddyfile to begin with. The private key is written to mydatahelps.pem, which
only its owner can read; the public one is printed, in the form that Designer
takes. Nothing that is there already is changed.`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().StringVar(&folder, "folder", ".", "Where to write mydatahelps.pem and Caddyfile")
	cmd.Flags().StringVar(&project, "project", "{env.MDH_PROJECT_ID}", "The project's ID")
	cmd.Flags().StringVar(&account, "account", "{env.MDH_SERVICE_ACCOUNT}", "The service account's name")
	cmd.RunE = caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) {
		text, err := initialize(folder, project, account)
		if err != nil {
			return caddy.ExitCodeFailedStartup, err
		}
		fmt.Fprint(cmd.OutOrStdout(), text)
		return caddy.ExitCodeSuccess, nil
	})
	return cmd
}

// initialize writes key and Caddyfile, both or neither, and returns what to
// tell the operator.
func initialize(folder, project, account string) (text string, err error) {
	folder, err = filepath.Abs(folder)
	if err != nil {
		return "", err
	}
	for name, value := range map[string]string{"--project": project, "--account": account} {
		if value == "" || strings.ContainsAny(value, " \t\r\n\"`#") {
			return "", fmt.Errorf("%s %q is no ID or name", name, value)
		}
	}
	if strings.ContainsAny(folder, "{}\"`\r\n") {
		return "", fmt.Errorf("the folder %q cannot be named in a Caddyfile: choose another", folder)
	}
	key, err := rsa.GenerateKey(rand.Reader, initBits)
	if err != nil {
		return "", err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return "", err
	}
	keyFile, configFile := filepath.Join(folder, "mydatahelps.pem"), filepath.Join(folder, "Caddyfile")
	private := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	config := strings.NewReplacer("<project>", project, "<account>", account, "<key>", keyFile).Replace(initCaddyfile)
	if strings.Contains(keyFile, " ") {
		config = strings.Replace(config, "{file."+keyFile+"}", "`{file."+keyFile+"}`", 1)
	}
	if err := create(keyFile, private, 0o600); err != nil {
		return "", err
	}
	if err := create(configFile, []byte(config), 0o644); err != nil {
		return "", errors.Join(err, os.Remove(keyFile))
	}
	return fmt.Sprintf(`Wrote %s, the private key. Give it to the user Caddy runs as, and to nobody else.
Wrote %s.

1. In MyDataHelps Designer, add this public key (RSA_X509_PEM) to the service account:

%s
2. See that the project and the service account in the Caddyfile are yours; in
   {env.…} they are read from the environment.
3. Change the app's address in it, and run: caddy run --config %s
`, keyFile, configFile, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), configFile), nil
}

// create writes a file that is not there yet.
func create(path string, content []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already and may be in use: choose another --folder", path)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err := errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}
