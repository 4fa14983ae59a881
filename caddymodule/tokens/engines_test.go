// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"
)

// TestMintAsksAnotherEngine protects a source from another one's breaker: a mint
// that needs a token of another engine asks there as anybody does, and is itself
// judged by its own.
func TestMintAsksAnotherEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider, own := start(t, Options{Concurrency: 1}, time.Hour)
		source, i := start(t, Options{Concurrency: 1}, time.Hour)
		wanted := service
		i.mint = func(ctx context.Context, _ delegation.Identity, _ *delegation.Token) (*delegation.Token, error) {
			if _, _, err := own.view.Get(ctx, wanted); err != nil {
				return nil, err
			}
			return &delegation.Token{Access: delegation.NewSecret("x"), Minted: time.Now(), Expires: time.Now().Add(time.Hour)}, nil
		}
		i.want(t, alice, false, "")
		if own.count() != 1 || provider.Status().Minting != 0 || source.Status().Minting != 0 {
			t.Errorf("%d mints of the other engine, %+v, %+v", own.count(), provider.Status(), source.Status())
		}
		// The other engine's breaker judges its own mints, and those alone.
		provider.PurgeLocal(delegation.Selection{})
		own.failing(delegation.CredentialsRejected, 0)
		i.want(t, person("bob"), false, delegation.CredentialsRejected)
		if provider.Status().Issuer.State != Open {
			t.Errorf("%+v; want the other engine to leave its issuer alone", provider.Status().Issuer)
		}
		asked := own.count()
		wanted.Audience = "another, whose failure is not remembered"
		i.want(t, person("carol"), false, delegation.CredentialsRejected)
		if own.count() != asked {
			t.Error("a mint of the source has passed the other engine's breaker")
		}
	})
}
