// SPDX-License-Identifier: Apache-2.0

package delegation

// Person is a signed-in user as a verified app session names them. A subject
// is unique only within its realm.
type Person struct {
	// Realm is the namespace of the subject: the session's issuer or a configured name.
	Realm string
	// Subject is the user's name within the realm.
	Subject string
}

// Delegation is one authorised request: who asks, as whom, for what.
type Delegation struct {
	// Provider is the configured name of the provider.
	Provider string

	// Person is who is asking. Zero when Public.
	Person

	// Claim is the value by which the session names the participant: the
	// subject, unless the provider's [Traits] name another placeholder.
	Claim string

	// Participant is the person's name at the platform. Set by Authorize.
	Participant string

	// Scopes are what the route needs, sorted.
	Scopes []string

	// Method and URI are what was authorised, as the request had them then. A
	// request that differs from them later is not sent.
	Method string
	URI    string

	// Path is the canonical escaped path: what the policy judged is what is sent.
	Path string

	// Public says that the route needs neither a session nor a credential.
	Public bool

	// Upgrade says that the route may leave HTTP for WebSocket.
	Upgrade bool

	// Cached tells that the credential was at hand. Set by Authorize.
	Cached bool
}
