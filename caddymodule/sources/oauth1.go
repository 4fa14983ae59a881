// SPDX-License-Identifier: Apache-2.0

package sources

import "errors"

// newOAuth1 returns the protocol of an OAuth 1.0a source.
func newOAuth1(*Config) (protocol, error) {
	return nil, errors.New("this build has no OAuth 1.0a: remove the source")
}
