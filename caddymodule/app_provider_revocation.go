// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"go.uber.org/zap"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
)

// recordRevocation counts an attempt to tell a vendor that a user has left, and logs
// those that the operator may have to do something about: the first that fails, and that
// there are no more. No line names the person: they have left.
func (p *providerRecord) recordRevocation(what grants.RevocationOutcome, source string, cause error) {
	revocationsTotal.WithLabelValues(p.name, source, string(what)).Inc()
	switch {
	case what == grants.RevocationGivenUp:
		p.logger.Error("a vendor could not be told for a week that a user has left, and is not told any more", zap.String("provider", p.name), sourceField(source))
	case cause != nil:
		p.logger.Warn("a vendor could not be told that a user has left",
			zap.String("provider", p.name), sourceField(source), zap.String("cause", delegation.Explain(cause)))
	}
}
