// SPDX-License-Identifier: Apache-2.0

package delegation

import "context"

// GrantImport is what another program has kept of a person's consent, as an operator
// hands it over.
type GrantImport struct {
	Person
	// Account is who the person is at the vendor; may be empty where the vendor does
	// not say.
	Account string
	// Label is how the account is shown to its owner; may be empty.
	Label string
	// Scopes are those that were granted; nil: those of the settings.
	Scopes []string
	// Refresh is the refresh token. Where the vendor gives none, Access is the token
	// of data calls, and AccessSecret its secret in OAuth 1.0a.
	Refresh, Access, AccessSecret Secret
	// RedirectURI is the one that the person had consented with, for a vendor that
	// wants it at each refresh; empty otherwise.
	RedirectURI string
}

// Token returns the token by which the import is told from others: one of Refresh and
// Access.
func (i *GrantImport) Token() Secret {
	if i.Refresh.Reveal() != "" {
		return i.Refresh
	}
	return i.Access
}

// GrantImporter is implemented by the hooks of a vendor whose consents can be taken over
// from another program.
type GrantImporter interface {
	// ReadImport returns the grant as it is kept until it was tried. It touches no
	// network. The error names what is missing or not as it should be, and holds no
	// value.
	ReadImport(i *GrantImport) (*ConsentResult, error)

	// TryImport has the vendor say whether it accepts the grant: by spending its
	// refresh token, or by a request with the access token if there is none. It returns
	// what the grant is from then on; an empty Account, and nil Scopes, are those of
	// ReadImport. uncertain reports that the refresh token may have been spent before.
	//
	// The error is a [*Refusal]: delegation_refused if the vendor does not accept the
	// token, and wraps [ErrNotSent] if no request was written. Beside a result it says
	// that the tokens are good, and that the account could not be asked for.
	TryImport(ctx context.Context, g *Grant, uncertain bool) (*ConsentResult, error)
}
