// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"errors"
	"net/http"
	"net/url"
	"time"
)

type signedCalls struct{}

type requestToken struct{}

var errOAuth1 = errors.New("not yet")

func (v *Vendor) beginOAuth1(url.Values, *Settings, time.Time) (*flow, error) { return nil, errOAuth1 }
func (v *Vendor) approveOAuth1(*flow, *grant, *Settings) string               { return "" }
func (v *Vendor) denyOAuth1(*flow, *Settings) string                          { return "" }
func (c *call) serveRequestToken()                                            { c.serveAccessToken() }
func (c *call) serveAccessToken() {
	c.fail(http.StatusNotImplemented, "not_implemented", errOAuth1.Error())
}
func (c *call) openSigned() (*grant, bool) { c.serveAccessToken(); return nil, false }
