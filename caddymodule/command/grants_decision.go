// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/caddy-delegate/caddy-delegate/caddymodule/grants"
)

// inMemory is what an operator has to know of a Caddy that runs: a provider
// reads a grant again when it is 30 seconds old.
const inMemory = `A running Caddy may have it in memory, and use it for up to 30 seconds more. To end that at
once, purge the user: POST /delegate/purge of the admin API.
`

func (c *grantsConfig) deleteCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "delete <id>",
		Short: "Deletes a grant and its key for good",
		Long: `
Deletes a grant, in whatever state, and the key it holds. The platform may be
unable to give that key again: the owner has to consent anew, and some platforms
then begin another connection. The vendor of a source that can be told is told by
a running Caddy, within a minute, unless another grant has the same account there:
see revocations. To end its use and keep it, release it, of which no vendor is
told. Backups that were made before still hold it.`,
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "Yes, the key may be lost")
	runGrants(cmd, 1, func(ctx context.Context, id string) error {
		if !yes {
			return errors.New("nothing was deleted: the key of a deleted grant cannot be had again; add --yes if that is meant, or release the grant, which keeps it")
		}
		return c.with(ctx, func(s *grants.Store) error {
			if err := s.Delete(ctx, id, operatorName()); err != nil {
				return explainStoreError(err, id)
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "Deleted grant %s and its key.\n%s", id, inMemory)
			return err
		})
	})
	return cmd
}

func (c *grantsConfig) releaseCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "release <id>",
		Short: "Ends a grant's hold on its account",
		Long: `
Retires a grant, or what binds a user to a participant by participant_field: it
is not used any more, and its account at the platform may be
connected by, or moved to, somebody else. The key is kept, and move can bring
the grant back.`,
	}
	runGrants(cmd, 1, func(ctx context.Context, id string) error {
		return c.with(ctx, func(s *grants.Store) error {
			if err := s.Release(ctx, id, operatorName()); err != nil {
				return explainStoreError(err, id)
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "Released grant %s: its account is free for somebody else. Its key is kept.\n%s", id, inMemory)
			return err
		})
	})
	return cmd
}

func (c *grantsConfig) moveCommand() *cobra.Command {
	var subject, realm string
	cmd := &cobra.Command{
		Use:   "move <id> --subject <subject>",
		Short: "Gives a grant to a user of the app",
		Long: `
Makes a grant, in whatever state, the active one of a user: because their name at
the app has changed, or because a conflict was decided for them. Another grant
that they have at this provider, or at this source of it, is retired.

Be sure that it is the same person: whoever is named reads and writes the data
of the account.`,
	}
	cmd.Flags().StringVar(&subject, "subject", "", "The user of the app, as its sessions name them")
	cmd.Flags().StringVar(&realm, "realm", "", "The realm of the subject; default: the grant's")
	runGrants(cmd, 1, func(ctx context.Context, id string) error {
		if subject == "" {
			return errors.New("nothing was moved: add --subject, whose the grant is to be")
		}
		return c.with(ctx, func(s *grants.Store) error {
			g, err := s.FindByID(ctx, id)
			if err != nil {
				return explainStoreError(err, id)
			}
			to := g.Owner
			to.Subject = subject
			if realm != "" {
				to.Realm = realm
			}
			if err := s.Move(ctx, id, to, operatorName()); err != nil {
				return explainMove(ctx, s, g, err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "Moved grant %s from %s to %s, whose only one at %s it now is.\n%s",
				id, ownerName(g.Owner), ownerName(to), placeName(to), inMemory)
			return err
		})
	})
	return cmd
}

func ownerName(o grants.Owner) string {
	return fmt.Sprintf("subject %s of realm %s", QuoteForTerminal(o.Subject), QuoteForTerminal(o.Realm))
}

// errFound ends a search.
var errFound = errors.New("found")

// explainMove names the grant that is in the way, if one is.
func explainMove(ctx context.Context, s *grants.Store, g *grants.Grant, err error) error {
	switch {
	case errors.Is(err, grants.ErrDamaged): // it was opened a moment ago
		return errors.New("nothing was moved: another grant of that user or account cannot be opened; `caddy delegate grants list` names it")
	case !errors.Is(err, grants.ErrConflict):
		return explainStoreError(err, g.ID)
	}
	holder := new(grants.Grant)
	if err := s.ForEach(ctx, func(other *grants.Grant) error {
		holds := other.State == grants.Active || other.State == grants.Suspended
		if holds && other.Provider == g.Provider && other.Source == g.Source && other.Account == g.Account {
			holder = other
			return errFound
		}
		return nil
	}); !errors.Is(err, errFound) {
		return errors.Join(errors.New("nothing was moved: another grant holds its account; release that one first"), err)
	}
	return fmt.Errorf("nothing was moved: grant %s of %s holds its account %s; release that one first: caddy delegate grants release %s",
		holder.ID, ownerName(holder.Owner), QuoteForTerminal(g.Account), holder.ID)
}
