// SPDX-License-Identifier: Apache-2.0

package delegation

// Selection says whose tokens a purge deletes. An empty field matches everybody;
// the zero Selection is everybody and the service token.
type Selection struct {
	// Realm is the namespace of the subject, see [Person].
	Realm string
	// Subject is the app's name of a user, in every realm if Realm is empty.
	Subject string
	// Participant is the platform's name of a person. The other fields are empty
	// then.
	Participant string
}

// Covers reports whether the selection includes a person with this participant.
func (s Selection) Covers(p Person, participant string) bool {
	return (s.Realm == "" || s.Realm == p.Realm) &&
		(s.Subject == "" || s.Subject == p.Subject) &&
		(s.Participant == "" || s.Participant == participant)
}

// Selections returns every selection that covers the identity.
func (i *Identity) Selections() [5]Selection {
	return [5]Selection{
		{},
		{Realm: i.Realm},
		{Subject: i.Subject},
		{Realm: i.Realm, Subject: i.Subject},
		{Participant: i.Participant},
	}
}
