// SPDX-License-Identifier: Apache-2.0

package sources

import "errors"

// newOAuth2 returns the protocol of an OAuth 2.0 source, with or without SMART.
func newOAuth2(*Config) (protocol, error) {
	return nil, errors.New("this build has no OAuth 2.0: remove the source")
}
