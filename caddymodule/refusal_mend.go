// SPDX-License-Identifier: Apache-2.0

package caddymodule

import "github.com/caddy-delegate/caddy-delegate/caddymodule/delegation"

// mends say by code what an operator should look at where everybody is refused
// with it. They are the field `mend` of the warning.
var mends = map[delegation.Code]string{
	delegation.SessionRequired:      "nobody is signed in by what the directive reads: with app_session have a credential judged by `caddy delegate session`; otherwise compare subject with what the authenticator sets, and with the headers that the auth server sends",
	delegation.SessionUnavailable:   "who vouches for sessions does not answer: see cause, and the app_session steps of `caddy delegate check`",
	delegation.CrossOrigin:          "pages of another origin call: name it in trusted_origins, if it is yours",
	delegation.RouteDenied:          "no allow line covers what is asked for: lines are compared with the path that handle_path leaves; at delegate_connect see cause",
	delegation.MethodNotAllowed:     "allow lines cover the path, but not the method",
	delegation.ParticipantUnknown:   "no user is found as a participant: compare the way of finding them (participant_identifier, participant_id, participant_field) with what the subject is",
	delegation.ParticipantAmbiguous: "more than one participant has each value: participant_field names a field that is no identifier",
	delegation.ParticipantWithdrawn: "all have withdrawn: see that the project is the one that is running",
	delegation.ConsentRequired:      "nobody has a grant: if the provider was renamed, `caddy delegate grants list` shows those left behind; otherwise see with `caddy delegate check` that the platform can call the callback",
	delegation.AccountConflict:      "see `caddy delegate grants list --state conflict`",
	delegation.DelegationRefused:    "the platform gives no participant's token: see that the service account may obtain participant tokens in the project",
	delegation.CredentialsRejected:  "run `caddy delegate check`. MyDataHelps: it tells clock and project apart, and the SHA-256 of the key, to compare with the public key at the platform (Troubleshooting: Is it the right key?); Mydex: compare client_id and client_secret, connection_nid and connection_token with what the platform has given; a Connect platform: compare client_id and client_secret with its console, and names and binding with its documentation: see cause",
	delegation.ScopeRejected:        "run `caddy delegate check`: it tries each scope by itself",
	delegation.NotDelegated:         "see cause: a rewrite between the handlers, sessions without the time that `ends` names, or a fault in a provider",
	delegation.GrantsUnavailable:    "the database of the grants cannot be used: see the log, and the database step of `caddy delegate check`",
	delegation.IssuerUnavailable:    "run `caddy delegate check`: its step platform tells whether it answers at all",
	delegation.IssuerThrottled:      "the quota is spent: see which other client of the project spends it",
	delegation.UpstreamUnauthorized: "the platform's API accepts no token: see that base_url is the host that the project is served at",
	delegation.UpstreamRedirected:   "the platform redirects to another host: see base_url",
	delegation.UpstreamUnavailable:  "the platform's API cannot be connected to: see cause",
	delegation.UpstreamTimeout:      "the platform's API does not answer in time: see cause",
}

// mendOf returns the mend of a code. It is never empty.
func mendOf(code delegation.Code) string {
	if mend, ok := mends[code]; ok {
		return mend
	}
	return "see cause, and run `caddy delegate check`"
}
