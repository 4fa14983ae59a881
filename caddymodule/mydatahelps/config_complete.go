// SPDX-License-Identifier: Apache-2.0

package mydatahelps

import "errors"

var errNoKey = errors.New("private_key is missing: the service account's private key, by {file.…} or {env.…}")

// CheckComplete reports the first required setting that is empty, more than two
// keys, and a participant that cannot be found as [Config.Participant] says. A
// Caddyfile's settings are checked by it while they may still hold placeholders,
// so that the error has file and line; [New] does so as well. Of the keys only
// the number counts: they may be nil. The error begins with the setting's name
// in the Caddyfile.
func (c *Config) CheckComplete() error {
	switch {
	case c.Project == "":
		return errors.New("project is missing: give the project's ID, which MyDataHelps Designer shows in the project's settings")
	case c.Account == "":
		return errors.New("service_account is missing: give the service account's name, such as MyDataHelps.12345.proxy")
	}
	if err := checkKeyCount(len(c.Keys)); err != nil {
		return err
	}
	if len(c.Scopes) == 0 {
		return errors.New("scopes is missing: name what a participant token may be used for, such as Participant:read")
	}
	return c.Participant.check()
}

// checkKeyCount refuses all numbers of keys but one, and two for rotation.
func checkKeyCount(n int) error {
	switch {
	case n == 0:
		return errNoKey
	case n > 2:
		return errors.New("private_key may be given twice, during rotation, not more: remove the oldest")
	default:
		return nil
	}
}
