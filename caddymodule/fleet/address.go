// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"crypto/tls"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// The errors of parseURL are fixed sentences: whatever part of a URL was misread
// may be the password.
var (
	errURL = errors.New("the redis URL is not understood: write redis://<user>:<password>@<host>:<port>/<db>, rediss:// for TLS, " +
		"unix://<path>?db=<db>, redis-cluster:// or rediss-cluster://, or redis://<sentinel>:26379/<db>?master_name=<name>; " +
		"percent-encode what is not a letter or a digit in user and password")
	errParameter = errors.New("the redis URL has a parameter that is not known: there are " + strings.Join(parameters, ", "))
)

// parameters are the query parameters that a URL may have.
var parameters = []string{"addr", "client_name", "db", "master_name", "password", "pool_size", "protocol", "username"}

// parseURL reads [Options.URL].
func parseURL(text string) (*redis.UniversalOptions, error) {
	u, err := url.Parse(text)
	if err != nil || u.Fragment != "" {
		return nil, errURL
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, errURL
	}
	for name := range query {
		if !slices.Contains(parameters, name) {
			return nil, errParameter
		}
	}
	scheme, cluster := strings.CutSuffix(u.Scheme, "-cluster")
	switch {
	case cluster:
		u.Scheme = scheme
		o, err := redis.ParseClusterURL(u.String())
		if err != nil {
			return nil, errURL
		}
		return &redis.UniversalOptions{
			IsClusterMode: true, Addrs: o.Addrs, Username: o.Username, Password: o.Password,
			ClientName: o.ClientName, PoolSize: o.PoolSize, Protocol: o.Protocol, TLSConfig: o.TLSConfig,
		}, nil
	case query.Has("master_name"):
		o, err := redis.ParseFailoverURL(text)
		if err != nil || o.MasterName == "" {
			return nil, errURL
		}
		return &redis.UniversalOptions{
			MasterName: o.MasterName, Addrs: o.SentinelAddrs, SentinelUsername: o.SentinelUsername, SentinelPassword: o.SentinelPassword,
			Username: o.Username, Password: o.Password, DB: o.DB,
			ClientName: o.ClientName, PoolSize: o.PoolSize, Protocol: o.Protocol, TLSConfig: o.TLSConfig,
		}, nil
	default:
		o, err := redis.ParseURL(text)
		if err != nil {
			return nil, errURL
		}
		return &redis.UniversalOptions{
			Addrs: []string{o.Addr}, Username: o.Username, Password: o.Password, DB: o.DB,
			ClientName: o.ClientName, PoolSize: o.PoolSize, Protocol: o.Protocol, TLSConfig: o.TLSConfig,
		}, nil
	}
}

// tuneClient has a client fail fast: nothing is tried twice while a request waits.
// slots is how many commands run at once.
func tuneClient(o *redis.UniversalOptions, timeout time.Duration, turns int) {
	o.ContextTimeoutEnabled = true
	o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = timeout, timeout, timeout
	// Nobody waits for the rest of a dial that takes longer: its connection is
	// there for the next command.
	o.DialTimeout = dialFactor * timeout
	o.DialerRetries, o.MaxRetries = 1, -1
	o.PoolSize = turns + 4 // the watch takes no slot
	o.PipelinePoolSize = -1
	o.ConnMaxIdleTime = time.Minute // before a firewall forgets it
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	if o.TLSConfig != nil {
		o.TLSConfig.MinVersion = tls.VersionTLS12
	}
}
