// SPDX-License-Identifier: Apache-2.0

package delegation

// Person is a signed-in user as the app's session names them. A subject is unique
// only within its realm. The zero Person is nobody.
type Person struct {
	// Realm is the namespace of the subject: the session's issuer, or a configured
	// name.
	Realm string
	// Subject is the user's name within the realm.
	Subject string
}

// Delegation is one authorised request: the signed-in person, the participant they
// act as, and the exact method and URI.
type Delegation struct {
	// Provider is the configured name of the provider.
	Provider string

	// Source is the data source that the first segment of Path names, for a
	// [SourceProvider]; empty otherwise.
	Source string

	// Person is the signed-in user. Zero when Public.
	Person

	// Claim is the value by which the session names the participant: the
	// subject, unless the provider's [Traits] name another placeholder.
	Claim string

	// Participant is the person's name at the platform. Set by
	// [Provider.Authorize].
	Participant string

	// Scopes are those of the route, sorted.
	Scopes []string

	// Method and URI are the request's when it was authorised. The transport does
	// not send a request that differs from them.
	Method string
	URI    string

	// Path is the canonical escaped path, which the policy judged and which is
	// sent.
	Path string

	// Public reports that the route needs neither a session nor a credential.
	Public bool

	// Upgrade reports that the request may become a WebSocket.
	Upgrade bool

	// Cached reports that the credential was in memory. Set by
	// [Provider.Authorize].
	Cached bool
}
