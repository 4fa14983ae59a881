// SPDX-License-Identifier: Apache-2.0

package connect

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Names are the words of the wire: of the widget's result, of the exchange and of
// its reply. Each is 1 to 64 letters, digits, and _ - . characters.
type Names struct {
	// Token is the one-time token, in the widget's result and in the exchange.
	Token string
	// Account is the person's identifier at the platform, and Access the access
	// token, in the reply.
	Account, Access string
	// User is the person's identifier that the widget was opened with, and Client
	// our application, in the reply; Client and Secret in the exchange as well.
	User, Client, Secret string
	// Public is the token by which the widget knows a returning person, in the
	// reply.
	Public string
}

// nameSettings are the settings of [Names], in the order of [Names.all].
var nameSettings = [...]string{"token", "account", "access", "user", "client", "secret", "public"}

// all returns the names in the order of [nameSettings].
func (n *Names) all() [len(nameSettings)]string {
	return [...]string{n.Token, n.Account, n.Access, n.User, n.Client, n.Secret, n.Public}
}

// ByName returns the place of each name, by its setting.
func (n *Names) ByName() map[string]*string {
	return map[string]*string{
		"token": &n.Token, "account": &n.Account, "access": &n.Access, "user": &n.User, "client": &n.Client, "secret": &n.Secret, "public": &n.Public,
	}
}

// applyDefaults sets the names that are empty.
func (n *Names) applyDefaults(defaults Names) {
	values := defaults.ByName()
	for setting, to := range n.ByName() {
		if *to == "" {
			*to = *values[setting]
		}
	}
}

var fieldRE = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// checkField refuses a word that is no name of a field.
func checkField(setting, field string) error {
	if !fieldRE.MatchString(field) {
		return fmt.Errorf("%s: %q is no name of a field: letters, digits, _ - and . without blanks", setting, field)
	}
	return nil
}

// meet reports whether the fields of two settings stand in one object: that of the
// exchange, or that of its reply.
func meet(a, b string) bool {
	const exchange, reply = " token account client secret ", " account access user client public "
	both := func(object string) bool {
		return strings.Contains(object, " "+a+" ") && strings.Contains(object, " "+b+" ")
	}
	return both(exchange) || both(reply)
}

// check refuses names that are none, two that are the same, and fields to redeem
// that the exchange is given by us: the browser must choose none of them.
func (n *Names) check(redeem []string) error {
	all := n.all()
	for i, name := range all {
		if err := checkField("names "+nameSettings[i], name); err != nil {
			return err
		}
		for at := range i {
			if all[at] == name && meet(nameSettings[at], nameSettings[i]) {
				return fmt.Errorf("names: %s and %s are both %q: give each field a name of its own", nameSettings[at], nameSettings[i], name)
			}
		}
	}
	for i, field := range redeem {
		if err := checkField("redeem", field); err != nil {
			return err
		}
		if slices.Contains(redeem[:i], field) {
			return fmt.Errorf("redeem names %s twice: remove one", field)
		}
		for at, name := range all {
			if strings.EqualFold(name, field) && nameSettings[at] != "account" {
				return fmt.Errorf("redeem: %s is the name of %s, which the browser does not choose: remove it", field, nameSettings[at])
			}
		}
	}
	return nil
}
