// SPDX-License-Identifier: Apache-2.0

package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/background"
)

const (
	// adminTimeout bounds a question to a running Caddy. A container's health check
	// mostly has half a minute.
	adminTimeout = 10 * time.Second

	// maxAdminAnswer is the most bytes that are read of an answer.
	maxAdminAnswer = 64 << 20
)

// adminEndpoint is the admin endpoint of a running Caddy, as the flags name it.
type adminEndpoint struct {
	Config
	address string
}

// flags adds the flags of `caddy reload` and `caddy stop`.
func (a *adminEndpoint) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.address, "address", "", "The admin endpoint of the running Caddy, such as unix//run/caddy/admin.sock; default: that of --config, or localhost:2019")
	cmd.Flags().StringVarP(&a.File, "config", "c", "", "The configuration file, to read the admin endpoint from")
	cmd.Flags().StringVarP(&a.Adapter, "adapter", "a", "", "The adapter, if it is no Caddyfile or JSON")
}

// errNoAnswer is that no running Caddy has answered.
var errNoAnswer = errors.New("no Caddy answers at its admin endpoint")

// get asks the running Caddy and decodes its answer, JSON, into an object. The error
// says where it was looked for, and what to do.
func (a *adminEndpoint) get(path string, into any) error {
	address, err := caddycmd.DetermineAdminAPIAddress(a.address, nil, a.File, a.Adapter)
	if err != nil {
		return err
	}
	answered := make(chan error, 1) // nobody may read it
	background.Go("asking the admin endpoint", func() {
		answered <- background.Do("asking the admin endpoint", func() error { return fetchJSON(address, path, into) })
	})
	select {
	case err = <-answered:
	case <-time.After(adminTimeout):
		err = fmt.Errorf("it has not answered within %s", adminTimeout)
	}
	if err != nil {
		return fmt.Errorf("%w %s: %w; see that Caddy runs with a configuration that has providers, and name its endpoint by --address or --config", errNoAnswer, QuoteForTerminal(address), err)
	}
	return nil
}

func fetchJSON(address, path string, into any) error {
	res, err := caddycmd.AdminAPIRequest(address, http.MethodGet, path, nil, nil)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }() // of what was only read
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAdminAnswer)).Decode(into); err != nil {
		return errors.New("it answers with something else than JSON: is it a Caddy with these modules, of this version")
	}
	return nil
}
